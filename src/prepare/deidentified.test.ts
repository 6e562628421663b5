import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodePng } from '#raster'
import { parseRecipe } from '../schema/parse.ts'
import type { Recipe } from '../schema/recipe.ts'
import {
  identifiersOf,
  identity,
  type Radiograph,
  radiographBytes,
  radiographData,
  radiographPath,
  radiographPixels,
  radiographs,
  writeBelow,
  writeRadiographs,
} from '../sources/dicom_fixture.ts'
import { readRows } from '../storage/safetensors.ts'
import { storedCases } from './shard_set.ts'
import { readSourceMap } from './source_map.ts'
import { prepareSmall } from './testing/small_data_set.ts'

const PATIENTS = 8

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-deidentified-'))
})
after(() => rm(dir, { recursive: true }))

const recipeOf = (root: string, data: object = {}): Recipe =>
  parseRecipe(
    {
      name: 'small',
      data: radiographData(root, { max_quarantined: 5, ...data }),
      prepare: { size: [12, 16], shard_mb: 0.00192 },
      task: { kind: 'classify', labels: ['nodule'] },
    },
    'a recipe of a test',
  )

/** A tree of which one image is cut short, one is gone from under a link, and one may show a name. */
async function writeTree(root: string): Promise<void> {
  const burned: Radiograph = { patient: 0, k: 7, seed: 77, changes: { BurnedInAnnotation: 'YES' } }
  await writeRadiographs(root, [...radiographs(PATIENTS), burned])
  const short = radiographBytes({ patient: 1, k: 4, seed: 1 })
  await writeBelow(root, 'Quillfeather/cut_20191121.dcm', short.subarray(0, 300))
  const noPixels = radiographBytes({ patient: 2, k: 6, seed: 1 })
  await writeBelow(root, `Quillfeather/${identity(2).id}`, noPixels.subarray(0, noPixels.length - 100))
}

/** Texts that name somebody, with the file that holds them. */
export async function leaksBelow(folder: string, known: readonly string[]): Promise<string[]> {
  const leaks: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const text = entry.isFile() ? (await readFile(path)).toString('latin1') : ''
    const isPrivate = `${path}/`.includes('/private/')
    for (const one of known)
      if (!isPrivate && (entry.name.includes(one) || text.includes(one))) leaks.push(`${path}: ${one}`)
    if (isPrivate && entry.isFile()) assert.equal((await stat(path)).mode & 0o777, 0o600, path)
  }
  return leaks
}

test('a set of de-identified images, and all that is said while it is made, names nobody', async () => {
  const root = join(dir, 'named')
  await writeTree(root)
  const set = await prepareSmall(recipeOf(root), join(dir, 'work'))
  assert.equal(set.result.cases, 2 * PATIENTS)
  assert.equal(set.result.quarantined.length, 3)
  const known = identifiersOf(PATIENTS)
  assert.deepEqual(await leaksBelow(join(dir, 'work'), known), [])
  const said = JSON.stringify([set.result, set.warnings, set.log, set.index, set.fingerprint])
  for (const one of [...known, root]) assert(!said.includes(one), one)
  for (const { case_id, file } of set.result.quarantined) assert.equal(file, case_id)
})

test('the private map says which file each case is, quarantined ones included', async () => {
  const root = join(dir, 'mapped')
  await writeTree(root)
  const set = await prepareSmall(recipeOf(root), join(dir, 'mapped-work'))
  const map = (await readSourceMap(set.dir))!
  const cut = set.result.quarantined.map(({ case_id }) => map.get(case_id)!.images[0]!)
  assert.deepEqual(
    cut.map((path) => path.slice(root.length + 1)).sort(),
    [
      'Quillfeather/MRN-QX7002',
      'Quillfeather/cut_20191121.dcm',
      radiographPath({ patient: 0, k: 7, seed: 0 }),
    ].sort(),
  )
  assert.equal(map.size, 2 * PATIENTS + 3)
})

test('a refusal names cases only, and says where to look them up', async () => {
  const root = join(dir, 'refused')
  await writeTree(root)
  const work = join(dir, 'refused-work')
  const log: string[] = []
  const refused = prepareSmall(recipeOf(root, { max_quarantined: 0 }), work, {
    log: (line) => log.push(line),
  })
  await assert.rejects(refused, (error: Error) => {
    for (const one of identifiersOf(PATIENTS)) assert(!error.message.includes(one), one)
    return true
  })
  assert.match(log.join('\n'), /private\/sources.jsonl/)
  assert.deepEqual(await leaksBelow(work, identifiersOf(PATIENTS)), [])
  assert.notEqual(await readSourceMap(join(work, 'prepared')), null)
})

test('an update keeps every id and names nobody', async () => {
  const root = join(dir, 'updated')
  const work = join(dir, 'updated-work')
  await writeRadiographs(root, radiographs(4))
  const first = await prepareSmall(recipeOf(root), work)
  const ids = (await storedCases(first.dir, first.index)).map((one) => one.case_id)
  await writeRadiographs(root, radiographs(PATIENTS))
  const second = await prepareSmall(recipeOf(root), work, { update: true })
  const grown = (await storedCases(second.dir, second.index)).map((one) => one.case_id)
  assert.equal(grown.length, 2 * PATIENTS)
  for (const id of ids) assert(grown.includes(id))
  assert.deepEqual(await leaksBelow(work, identifiersOf(PATIENTS)), [])
})

test('an 8-bit radiograph is stored as its PNG would be', async () => {
  const root = join(dir, 'dicom')
  const images = radiographs(PATIENTS)
  await writeRadiographs(root, images)
  const set = await prepareSmall(recipeOf(root, { deidentify: false }), join(dir, 'dicom-work'))
  assert.notDeepEqual(await leaksBelow(join(dir, 'dicom-work'), identifiersOf(PATIENTS)), [])
  const pngs = join(dir, 'png')
  for (const one of images)
    await writeBelow(
      pngs,
      `${identity(one.patient).instance(one.k)}.png`,
      await encodePng(radiographPixels(one)),
    )
  const rows = images.map(
    ({ patient, k }) =>
      `${identity(patient).instance(k)},${identity(patient).instance(k)}.png,${patient},${patient % 3 === 0 ? 1 : 0}`,
  )
  await writeFile(join(pngs, 'labels.csv'), `${['id,file,patient,nodule', ...rows].join('\n')}\n`)
  const csv = {
    kind: 'csv',
    file: 'labels.csv',
    image: 'file',
    case_id: 'id',
    patient: 'patient',
    labels: { columns: { nodule: 'nodule' } },
  }
  const twin = await prepareSmall(recipeOf(pngs, { source: csv }), join(dir, 'png-work'))
  const pixels = async ({ dir: at, index }: typeof set) => {
    const found = []
    for (const { file, num_cases } of index.shards)
      found.push((await readRows(join(at, file), 'image', 0, num_cases)).data)
    return found
  }
  assert.deepEqual(
    (await storedCases(set.dir, set.index)).map((one) => one.case_id),
    (await storedCases(twin.dir, twin.index)).map((one) => one.case_id),
  )
  assert.deepEqual(await pixels(set), await pixels(twin))
})

test('a table may be de-identified too', async () => {
  const root = join(dir, 'csv')
  const images = radiographs(PATIENTS)
  for (const one of images)
    await writeBelow(
      root,
      `${identity(one.patient).folder}/${one.k}.png`,
      await encodePng(radiographPixels(one)),
    )
  const rows = images.map(
    ({ patient, k }) =>
      `${identity(patient).folder}/${k}.png,${identity(patient).id},${patient % 3 === 0 ? 1 : 0},${85 + patient}`,
  )
  const gone = `${identity(1).folder}/gone.png,${identity(1).id},0,50`
  await writeFile(join(root, 'labels.csv'), `${['file,patient,nodule,age', ...rows, gone].join('\n')}\n`)
  const csv = {
    kind: 'csv',
    file: 'labels.csv',
    image: 'file',
    patient: 'patient',
    labels: { columns: { nodule: 'nodule' } },
    attributes: ['age'],
  }
  const set = await prepareSmall(recipeOf(root, { source: csv, deidentify: true }), join(dir, 'csv-work'))
  assert.equal(set.result.cases, 2 * PATIENTS)
  const known = identifiersOf(PATIENTS)
  assert.deepEqual(await leaksBelow(join(dir, 'csv-work'), known), [])
  const said = JSON.stringify([set.result, set.warnings, set.log])
  for (const one of known) assert(!said.includes(one), one)
})

test('where studies are evaluated, the tables say which study an image is of', async () => {
  const root = join(dir, 'studies')
  await writeRadiographs(root, radiographs(PATIENTS))
  const { source } = radiographData(root)
  const set = await prepareSmall(
    recipeOf(root, { source: { ...source, unit: 'study' } }),
    join(dir, 'studies-work'),
  )
  const folder = `labels-${set.labels.labels_id.slice(0, 12)}`
  const lines = (await readFile(join(set.dir, 'tables', folder, 'cases.jsonl'), 'utf8')).trim().split('\n')
  const rows = lines.map((line) => JSON.parse(line))
  const byStudy = Map.groupBy(rows, (row) => row.attributes.study)
  assert.equal(byStudy.size, PATIENTS)
  for (const [study, images] of byStudy) {
    assert.match(study, /^[a-z2-7]{16}$/)
    assert.equal(images.length, 2)
    assert.equal(new Set(images.map((image) => image.patient_id)).size, 1)
  }
})
