import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const venv = join(import.meta.dirname, '../../../.venv')
const python = join(venv, 'bin/python')
const [installed] = globSync('lib/python*/site-packages/pillow-*.dist-info', { cwd: venv })
const version = Number(/pillow-(\d+)/.exec(installed ?? '')?.[1] ?? 0)

/** For node:test: false when Pillow can be asked, else the reason why parity tests are skipped. */
export const skipWithoutPillow: false | string =
  version >= 13
    ? false
    : installed === undefined
      ? 'no Pillow in .venv: run "npm run setup" to compare with it'
      : `.venv holds ${installed}; Pillow 13 is what is compared with`

/**
 * Runs a Python program with Pillow and NumPy in a folder, where it reads and writes its files.
 *
 * @throws with its stderr if it fails
 */
export async function runPython(program: string, folder: string): Promise<string> {
  const { stdout } = await promisify(execFile)(python, ['-c', program], {
    cwd: folder,
    maxBuffer: 2 ** 26,
    env: { ...process.env, OMP_NUM_THREADS: '2' },
  })
  return stdout
}
