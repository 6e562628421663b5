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

/** In a line, what of the code is not as it was when the run began; null when all is. Uncommitted changes may be any. */
export function codeChange(before: Provenance, now: Provenance): string | null {
  const locks = (['node_lock_sha256', 'python_lock_sha256'] as const).filter(
    (key) => before[key] !== now[key],
  )
  const [was, is] = [codeName(before), codeName(now)]
  if (was === is && !now.dirty && locks.length === 0) return null
  const files = locks.map((key) => (key === 'node_lock_sha256' ? 'package-lock.json' : 'requirements.lock'))
  return (
    `Resumed by code that may not be the one the run began with: then ${was}, now ${is}` +
    `${files.length > 0 ? `, another ${files.join(' and ')}` : ''}. Results may not be those of one start.`
  )
}

const codeName = ({ fiducial_version, commit, dirty }: Provenance) =>
  commit === null
    ? `version ${fiducial_version}`
    : `commit ${commit.slice(0, 10)}${dirty ? ' with uncommitted changes' : ''}`

async function hash(path: string): Promise<string | null> {
  const text = await readTextIfExists(path)
  return text === null ? null : sha256(text)
}
