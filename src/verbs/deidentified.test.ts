import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodePng } from '#raster'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { preprocess } from '../imaging/preprocess.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import type { DicomSource } from '../schema/data.ts'
import {
  identifiersOf,
  identity,
  radiographBytes,
  radiographPixels,
  radiographs,
  writeBelow,
  writeRadiographs,
} from '../sources/dicom_fixture.ts'
import { evaluate } from './evaluate.ts'
import { init } from './init.ts'
import { inspect } from './inspect.ts'
import type { Io } from './io.ts'
import { loadRecipe } from './load_recipe.ts'
import { predict } from './predict.ts'
import { prepare } from './prepare.ts'
import { serve } from './serve.ts'
import { shippedRecipe } from './shipped_recipe.ts'

const PATIENTS = 24
const known = identifiersOf(PATIENTS)

let dir: string
let root: string
let pkg: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-verbs-deidentified-'))
  root = join(dir, 'archive')
  pkg = join(dir, 'pkg')
  await writeRadiographs(root, radiographs(PATIENTS))
  const broken = radiographBytes({ patient: 1, k: 4, seed: 1 }).subarray(0, 300)
  await writeBelow(root, 'Quillfeather/cut_20191121.dcm', broken)
  await writeTinyPackage(pkg)
  // Evaluating keeps its salt below the working directory, as prepare does.
  process.chdir(dir)
})
after(() => {
  process.chdir(tmpdir())
  return rm(dir, { recursive: true, force: true })
})

/** Collects all that a verb says. */
function listening(signal = new AbortController().signal): { io: Io; said: string[] } {
  const said: string[] = []
  const say = (line: string) => void said.push(line)
  return { io: { log: say, progress: say, signal, now: () => new Date() }, said }
}

function assertNobody(text: string): void {
  for (const one of known) assert(!text.includes(one), `${one} in ${text.slice(0, 2000)}`)
}

test('init, inspect and prepare of a folder of DICOM name nobody, in what they write and what they say', async () => {
  const { io, said } = listening()
  const out = join(dir, 'recipe.yaml')
  const drafted = await init(root, { out, force: false, dryRun: false }, io)
  assert.equal(drafted.cases, 2 * PATIENTS)
  assert.equal(drafted.patients, PATIENTS)
  assert.equal(drafted.source, 'dicom')
  const looked = await inspect(root, { prepared: join(dir, 'prepared') }, io)
  assert.deepEqual([looked.cases, looked.patients], [2 * PATIENTS, PATIENTS])
  const set = ['data.max_quarantined=1', 'prepare.size=[12, 16]']
  const viewed = await inspect(out, { set, prepared: join(dir, 'prepared') }, io)
  const parts = Object.values(viewed.split_patients)
  assert.equal(
    parts.reduce((a, b) => a + b),
    PATIENTS,
  )
  assert(parts.every((patients) => patients > 0))
  const made = await prepare(await loadRecipe(out, set), { workers: 1, out: join(dir, 'set') }, io)
  assert.equal(made.result.cases, 2 * PATIENTS)
  assertNobody(JSON.stringify([said, drafted, looked, viewed, made]))
  for (const entry of await readdir(join(dir, 'set'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || path.includes('/private/')) continue
    assertNobody(path)
    assertNobody((await readFile(path)).toString('latin1'))
  }
  assertNobody(await readFile(out, 'utf8'))
})

test('a contact sheet of de-identified images is drawn only where the recipe allows it', async () => {
  const { io } = listening()
  const out = join(dir, 'sheet.yaml')
  await init(root, { out, force: false, dryRun: false }, io)
  const prepared = join(dir, 'prepared')
  const contactSheet = join(dir, 'sheet.png')
  for (const target of [out, root])
    await assert.rejects(inspect(target, { prepared, contactSheet }, io), /data\.previews: true/)
  const { contact_sheet } = await inspect(out, { prepared, contactSheet, set: ['data.previews=true'] }, io)
  assert.equal(contact_sheet?.file, contactSheet)
})

test('a folder of DICOM without a table of labels is refused with what to write, and nobody is named', async () => {
  const bare = join(dir, 'bare')
  await writeRadiographs(bare, radiographs(3))
  await rm(join(bare, 'labels.csv'))
  const { io } = listening()
  await assert.rejects(
    init(bare, { out: join(dir, 'bare.yaml'), force: false, dryRun: false }, io),
    (error: Error) => {
      assertNobody(error.message)
      assert.match(error.message, /accession,label/)
      return true
    },
  )
})

test('predict scores DICOM as it scores the same pixels in a PNG, in folders whatever their names', async () => {
  const one = radiographs(1)[0]!
  const folder = join(dir, 'inputs')
  await mkdir(folder)
  await writeFile(join(folder, 'IM0'), radiographBytes(one))
  await writeFile(join(folder, 'b.dcm'), radiographBytes(one))
  await writeFile(join(folder, 'c.png'), await encodePng(radiographPixels(one)))
  await writeFile(join(folder, 'DICOMDIR'), radiographBytes(one))
  await writeFile(join(folder, 'notes.txt'), 'x'.repeat(500))
  const { predictions, failed } = await predict(pkg, [folder], {}, listening().io)
  assert.deepEqual(failed, [])
  assert.deepEqual(
    predictions.map(({ case_id }) => case_id),
    ['IM0', 'b', 'c'],
  )
  assert.deepEqual(predictions[0]!.scores, predictions[2]!.scores)
  assert.deepEqual(
    (await preprocess(radiographBytes(one), TINY_SPEC)).data,
    (await preprocess(await encodePng(radiographPixels(one)), TINY_SPEC)).data,
  )
})

test('answers and logs of the server name nobody, for what can be scored and what cannot', async () => {
  const stop = new AbortController()
  const { io, said } = listening(stop.signal)
  const answers: string[] = []
  const whole = radiographBytes({ patient: 2, k: 0, seed: 5 })
  await serve(
    [pkg],
    { port: 0 },
    async ({ url }) => {
      const send = async (bytes: Uint8Array, type: string) => {
        const answer = await fetch(`${url}/v1/predict`, {
          method: 'POST',
          headers: { 'content-type': type },
          body: new Uint8Array(bytes),
        })
        answers.push(`${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`)
      }
      await send(whole, 'application/octet-stream')
      await send(whole, 'application/dicom')
      await send(whole.subarray(0, 500), 'application/octet-stream')
      const twoFrames = { NumberOfFrames: 2, PixelData: new Uint8Array(960), Rows: 20 }
      await send(
        radiographBytes({ patient: 3, k: 0, seed: 5, changes: twoFrames }),
        'application/octet-stream',
      )
      stop.abort()
    },
    io,
  )
  assert.deepEqual(
    answers.map((answer) => answer.slice(0, 3)),
    ['200', '200', '422', '422'],
  )
  assertNobody(answers.join('\n'))
  assertNobody(said.join('\n'))
  assert(known.includes(identity(2).id))
})

test('a package is evaluated by study, and the report names nobody and shows no image', async () => {
  const { io, said } = listening()
  const recipe = join(dir, 'study.yaml')
  await init(root, { out: recipe, force: false, dryRun: false }, io)
  const set = ['data.source.unit=study', 'data.source.aggregate=max', 'evaluate.bootstrap=100']
  const out = join(dir, 'evaluated')
  const data = await loadRecipe(recipe, set)
  const target = { package: pkg, data }
  const byStudy = await evaluate(target, { split: 'all', out }, io)
  assert.equal(byStudy.cases, PATIENTS)
  assert.match(byStudy.warnings.join('\n'), /each with the maximum of the scores of its images \(48\)/)
  const byImage = await evaluate(
    { package: pkg, data: await loadRecipe(recipe) },
    { split: 'all', out: join(dir, 'evaluated-images') },
    io,
  )
  assert.equal(byImage.cases, 2 * PATIENTS)
  assert.equal(byImage.patients, PATIENTS)
  assertNobody(JSON.stringify([said, byStudy, byImage]))
  for (const folder of [out, join(dir, 'evaluated-images')])
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name), 'latin1')
      assertNobody(text)
      assert(!text.includes('data:image/png'))
    }
})

test('a package of de-identified data carries its recipe without the paths of the data', async () => {
  const { io } = listening()
  const path = join(dir, 'shipped.yaml')
  await init(root, { out: path, force: false, dryRun: false }, io)
  const { recipe } = await loadRecipe(path)
  const shipped = shippedRecipe(recipe)
  assert.deepEqual(shipped, {
    ...recipe,
    data: {
      ...recipe.data,
      root: '(private)',
      source: {
        ...recipe.data.source,
        labels: { ...(recipe.data.source as DicomSource).labels, file: '(private)' },
      },
    },
  })
  const open = { ...recipe, data: { ...recipe.data, deidentify: false } }
  assert.equal(shippedRecipe(open), open)
})

test('a folder of series is refused with a recipe of volumes to write', async () => {
  const series = join(dir, 'series')
  for (const [k, bytes] of obliqueSeries().files.entries()) await writeBelow(series, `a/${k}`, bytes)
  for (let k = 0; k < 8; k++)
    await writeBelow(
      series,
      `b/${k}`,
      radiographBytes({ patient: 0, k, seed: k, changes: { Modality: 'CT' } }),
    )
  await assert.rejects(
    init(series, { out: join(dir, 'series.yaml'), force: false, dryRun: false }, listening().io),
    /holds 2 series of slices: volumes/,
  )
})

test('a table of DICOM files is read as a table, with a word on its ids', async () => {
  const folder = join(dir, 'listed')
  const rows = ['file,patient_id,label']
  for (const one of radiographs(PATIENTS)) {
    await writeBelow(folder, `${one.patient}-${one.k}.dcm`, radiographBytes(one))
    rows.push(`${one.patient}-${one.k}.dcm,${one.patient},${one.patient % 3 === 0 ? 'sick' : 'normal'}`)
  }
  await writeBelow(folder, 'labels.csv', rows.join('\n'))
  const options = { out: join(dir, 'listed.yaml'), force: false, dryRun: false }
  const drafted = await init(folder, options, listening().io)
  assert.equal(drafted.source, 'csv')
  assert.match(drafted.please_check.join('\n'), /data\.deidentify: true/)
})
