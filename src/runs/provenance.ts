import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Provenance } from '../schema/run.ts'
import { readTextIfExists, sha256 } from '../storage/local.ts'

const run = promisify(execFile)

/**
 * What the code of a run was: version, commit and lock files of fiducial itself. Keys are null where there is no git
 * checkout or no lock file, as in an installed package.
 */
export async function readProvenance(projectRoot: string, now: Date): Promise<Provenance> {
  const packageJson = (await readTextIfExists(join(projectRoot, 'package.json'))) ?? '{}'
  const git = (...args: string[]) =>
    run('git', ['-C', projectRoot, ...args], { timeout: 10_000 }).then(
      ({ stdout }) => stdout.trim(),
      () => null,
    )
  // A project inside someone else's repository is not that repository's commit.
  const top = await git('rev-parse', '--show-cdup')
  const commit = top === '' ? await git('rev-parse', 'HEAD') : null
  const changes = commit === null ? null : await git('status', '--porcelain', '--untracked-files=no')
  return {
    fiducial_version: (JSON.parse(packageJson) as { version?: string }).version ?? 'unknown',
    commit,
    dirty: changes === null ? null : changes !== '',
    node_lock_sha256: await hash(join(projectRoot, 'package-lock.json')),
    python_lock_sha256: await hash(join(projectRoot, 'engine', 'requirements.lock')),
    created: now.toISOString(),
  }
}

async function hash(path: string): Promise<string | null> {
  const text = await readTextIfExists(path)
  return text === null ? null : sha256(text)
}
