import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { PROJECT_ROOT } from '../python/environment.ts'
import { identifiersOf, radiographs, writeRadiographs } from '../sources/dicom_fixture.ts'

const PATIENTS = 24

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-run-deidentified-'))
  await writeRadiographs(join(dir, 'archive'), radiographs(PATIENTS))
})
after(() => rm(dir, { recursive: true, force: true }))

async function fiducial(...args: string[]): Promise<string> {
  const main = join(PROJECT_ROOT, 'src/cli/main.ts')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args], { cwd: dir })
  return stdout + stderr
}

test('a run from DICOM files to a package and its predictions names nobody, in files and on the terminal', async () => {
  const said = [await fiducial('init', 'archive', '--out', 'recipe.yaml')]
  const set = ['train.epochs=2', 'prepare.size=32', 'data.source.unit=study', 'model=resnet10t']
  const flags = set.flatMap((one) => ['--set', one])
  said.push(await fiducial('run', 'recipe.yaml', ...flags))
  const runs = await readdir(join(dir, 'runs'))
  said.push(await fiducial('evaluate', join('runs', runs[0]!), '--split', 'test'))
  const known = identifiersOf(PATIENTS)
  const files: string[] = []
  for (const folder of ['prepared', 'runs'])
    for (const entry of await readdir(join(dir, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || path.includes('/private/')) continue
      files.push(path)
      const text = (await readFile(path)).toString('latin1')
      for (const one of known) assert(!path.includes(one) && !text.includes(one), `${one} in ${path}`)
      if (path.endsWith('.html')) assert(!text.includes('data:image/png'), `an image in ${path}`)
    }
  for (const name of ['val.jsonl', 'report.html', 'report-test.html', 'MODEL_CARD.md', 'rank-0.log'])
    assert(
      files.some((path) => path.endsWith(name)),
      `${name} is among ${files.length} files`,
    )
  for (const one of known) assert(!said.join('\n').includes(one), one)
})
