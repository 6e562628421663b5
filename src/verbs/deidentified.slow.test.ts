import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { PROJECT_ROOT } from '../python/environment.ts'
import { identifiersOf, radiographs, writeBelow, writeRadiographs } from '../sources/dicom_fixture.ts'
import { seriesFiles, writeSegmentedSeries } from '../sources/dicom_series_fixture.ts'

const PATIENTS = 24
const SERIES = 4
const SEGMENT = `
name: series
data: { root: series, source: dicom, split: { val: 0.5, test: 0, seed: 0 } }
prepare: { spacing_mm: [2.5, 0.75, 0.5], intensity: zscore }
task: { kind: segment, labels: { organ: 1, lesion: 2, core: 3 } }
model: { kind: unet3d, channels: [4, 8], residual_units: 1 }
train: { epochs: 1, patch_size: [4, 4, 8], device: cpu, precision: fp32 }
evaluate: { bootstrap: 100, mirror: none }
`

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
  const files = await assertNobody(['prepared', 'runs'], said)
  for (const name of ['val.jsonl', 'report.html', 'report-test.html', 'MODEL_CARD.md', 'rank-0.log'])
    assert(
      files.some((path) => path.endsWith(name)),
      `${name} is among ${files.length} files`,
    )
  for (const path of files.filter((one) => one.endsWith('.html')))
    assert(!(await readFile(path, 'utf8')).includes('data:image/png'), `an image in ${path}`)
})

test('nor does a segmentation of series, from their files to masks, certificate and masks of new series', async () => {
  const archive = join(dir, 'series')
  for (let n = 0; n < SERIES; n++) await writeSegmentedSeries(archive, n)
  await writeFile(join(dir, 'series.yaml'), SEGMENT)
  const said = [await fiducial('inspect', 'series.yaml'), await fiducial('run', 'series.yaml')]
  const run = join('runs', (await readdir(join(dir, 'runs'))).find((name) => name.startsWith('series'))!)
  said.push(await fiducial('evaluate', run, '--json'))
  const model = join(run, 'package')
  said.push(await fiducial('package', '--verify', model, '--data', 'series.yaml', '--json'))
  said.push(
    await fiducial('evaluate', model, '--data', 'series.yaml', '--split', 'all', '--out', 'runs/elsewhere'),
  )
  for (const [k, bytes] of seriesFiles(0).entries()) await writeBelow(join(dir, 'new'), `one/I${k}`, bytes)
  said.push(await fiducial('predict', model, 'new', '--out', 'masks'))
  const files = await assertNobody(['prepared', 'runs', 'masks'], said)
  for (const name of ['evaluation.json', 'report.html', 'certificate.json', 'MODEL_CARD.md', '.nii.gz'])
    assert(
      files.some((path) => path.includes('series') && path.endsWith(name)),
      `${name} is among ${files.length} files`,
    )
  assert(files.some((path) => path.includes('/masks/') && path.endsWith('.nii.gz')))
  const { volumes } = JSON.parse(await readFile(join(dir, model, 'certificate.json'), 'utf8'))
  assert(volumes.length > 0 && volumes.every((one: { num_files: number }) => one.num_files === 6))
})

/** Reads every file outside of `private/`, unpacked; a DICOM Segmentation alone carries the patient on. */
async function assertNobody(folders: readonly string[], said: readonly string[]): Promise<string[]> {
  const known = identifiersOf(PATIENTS)
  const files: string[] = []
  for (const folder of folders)
    for (const entry of await readdir(join(dir, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || path.includes('/private/') || path.endsWith('.seg.dcm')) continue
      files.push(path)
      const bytes = await readFile(path)
      const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')
      for (const one of known) assert(!path.includes(one) && !text.includes(one), `${one} in ${path}`)
    }
  for (const one of known) assert(!said.join('\n').includes(one), one)
  return files
}
