import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runPython } from './pillow.ts'

const packages = globSync('lib/python*/site-packages/{monai,nibabel}-*.dist-info', {
  cwd: join(import.meta.dirname, '../../../.venv'),
})

/** For node:test: false when MONAI and nibabel can be asked, else the reason why they are not. */
export const skipWithoutMonai: false | string =
  packages.length === 2 ? false : 'no MONAI and nibabel in .venv: run "npm run setup" to compare with them'

/**
 * Runs a Python program in a folder of its own, which holds `files`, and returns the files that it leaves there under
 * the names asked for.
 */
export async function askPython(
  program: string,
  files: Readonly<Record<string, string | NodeJS.ArrayBufferView>>,
  answers: readonly string[],
): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fiducial-python-'))
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    await runPython(program, folder)
    return await Promise.all(answers.map((name) => readFile(join(folder, name))))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
