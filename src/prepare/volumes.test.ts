import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reorient } from '../imaging/geometry/orientation.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { preprocessVolume } from '../imaging/preprocess_volume.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import { dryRunPrepare } from './dry_run.ts'
import { foregroundIndex } from './foreground.ts'
import { prepareSlice } from './run.ts'
import { nameOf, readPrepareReport } from './shard_set.ts'
import { readShardCases } from './staging.ts'
import { digestSet, prepareSmall } from './testing/small_data_set.ts'
import { smallVolumeId, smallVolumeRecipe, writeSmallVolumes } from './testing/small_volumes.ts'

let dir: string
let root: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-volumes-'))
  root = join(dir, 'data')
  await writeSmallVolumes(root, 6)
})
after(() => rm(dir, { recursive: true }))

const quiet = { log: () => {}, signal: new AbortController().signal }

test('a shard holds one volume as preprocessing gives it, its mask and where its structures are', async () => {
  const { dir: set, index } = await prepareSmall(smallVolumeRecipe(root), join(dir, 'one'))
  assert(index.kind === 'volumes' && index.has_masks)
  assert.deepEqual([index.num_cases, index.shards.length], [6, 6])
  for (const { file } of index.shards) {
    const { image, mask, foreground } = await readSafetensors(join(set, file))
    const row = (await readShardCases(set, nameOf(file)))[0] as VolumeShardCase
    const bytes = await readFile(join(root, `imagesTr/${row.case_id}.nii.gz`))
    const expected = await preprocessVolume([bytes], index.preprocess)
    assert.deepEqual(image!.shape, expected.shape)
    assert.deepEqual(row.affine, [...expected.affine])
    assert.deepEqual(
      [
        ...new Uint8Array(
          image!.data.buffer.slice(image!.data.byteOffset, image!.data.byteOffset + image!.data.byteLength),
        ),
      ],
      [...new Uint8Array(expected.data.buffer, expected.data.byteOffset, expected.data.byteLength)],
    )
    assert.deepEqual(mask!.shape, expected.shape.slice(1))
    const [Z, Y, X] = mask!.shape as [number, number, number]
    assert.equal(mask!.data.length, Z * Y * X)
    const rows = foreground!.data as Int32Array
    for (let m = 0; m < rows.length; m += 4)
      assert.equal(mask!.data[(rows[m + 1]! * Y + rows[m + 2]!) * X + rows[m + 3]!], rows[m])
    assert.equal(
      rows.length / 4,
      Object.values(row.mask_voxels!).reduce((a, b) => a + b, 0),
    )
  }
})

test('the labels say which structures a mask holds, and the parts are balanced over them', async () => {
  const { dir: set, split } = await prepareSmall(smallVolumeRecipe(root), join(dir, 'one'))
  const tables = await readdir(join(set, 'tables'))
  const labels = tables.find((name) => name.startsWith('labels-'))!
  const lines = (await readFile(join(set, 'tables', labels, 'cases.jsonl'), 'utf8')).trim().split('\n')
  const lesions = lines
    .map((line) => JSON.parse(line))
    .map((one) => [one.case_id, one.labels.organ, one.labels.lesion])
  assert.deepEqual(
    lesions.sort(),
    Array.from({ length: 6 }, (_, n) => [`case_00${n}`, 1, n % 2 === 0 ? 1 : 0]),
  )
  assert.deepEqual(split.cases, { train: 3, val: 3, test: 0 })
})

test('any number of workers and slices in any order give the same bytes', async () => {
  const recipe = smallVolumeRecipe(root)
  const whole = await digestSet((await prepareSmall(recipe, join(dir, 'whole'), { workers: 2 })).dir)
  const options = { root, prepared: join(dir, 'sliced/prepared'), workers: 1, ...quiet }
  assert.equal((await prepareSlice(recipe, { index: 2, count: 2 }, options)).set, null)
  const { set } = await prepareSlice(recipe, { index: 1, count: 2 }, options)
  assert.deepEqual(await digestSet(set!.dir), whole)
})

test('a second prepare reads nothing, and a changed mask makes another set', async () => {
  const own = join(dir, 'changing')
  await writeSmallVolumes(own, 4)
  const work = join(dir, 'again')
  const first = await prepareSmall(smallVolumeRecipe(own), work)
  assert.equal((await prepareSmall(smallVolumeRecipe(own), work)).result.reused, true)
  const other = await readFile(join(own, 'labelsTr/case_002.nii.gz'))
  await writeFile(
    join(own, 'labelsTr/case_002.nii.gz'),
    Buffer.concat([other.subarray(0, 4), Buffer.from([1, 1, 1, 1]), other.subarray(8)]),
  )
  const second = await prepareSmall(smallVolumeRecipe(own), work)
  assert.notEqual(second.index.set_id, first.index.set_id)
})

test('where the files lie is for their owner only', async () => {
  const { dir: set } = await prepareSmall(smallVolumeRecipe(root), join(dir, 'one'))
  const file = join(set, 'private/sources.jsonl')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await readFile(file, 'utf8')).trim().split('\n').length, 6)
  for (const name of await readdir(set, { recursive: true })) {
    if (name.startsWith('private') || (await stat(join(set, name))).isDirectory()) continue
    assert(!(await readFile(join(set, name), 'latin1')).includes(root), name)
  }
})

test('auto spacing is the median of the cases, and a window is stored as 16-bit integers', async () => {
  const lines: string[] = []
  const { index } = await prepareSmall(smallVolumeRecipe(root), join(dir, 'logged'), {
    log: (line) => lines.push(line),
  })
  assert.deepEqual((index.preprocess as VolumeSpec).spacing_mm, [2, 1, 1.5])
  assert(
    lines.some((line) => line.includes('prepare.spacing_mm: [2, 1, 1.5], the median of 6 cases')),
    lines.join('\n'),
  )
  const windowed = smallVolumeRecipe(root, { prepare: { intensity: { kind: 'window', low: 0, high: 200 } } })
  const { index: other, split } = await prepareSmall(windowed, join(dir, 'windowed'))
  assert.equal(other.dtype, 'int16')
  // Mean and spread of windowed values are left to the network's first node.
  assert(split.normalization.mean[0]! > 0.3 && split.normalization.mean[0]! < 0.7)
})

test('a mask that is stored in another orientation than its image is turned, and the report counts such cases', async () => {
  const straight = join(dir, 'straight')
  const turned = join(dir, 'turned')
  for (const folder of [straight, turned]) await writeSmallVolumes(folder, 4)
  for (const n of [0, 2]) {
    const path = join(turned, `labelsTr/${smallVolumeId(n)}.nii.gz`)
    const mask = reorient(await readNifti(await readFile(path)), n === 0 ? 'LPS' : 'SAR')
    await writeFile(path, await writeNifti(mask, { gzip: true }))
  }
  const [expected, found] = [
    await prepareSmall(smallVolumeRecipe(straight), join(dir, 'straight-set')),
    await prepareSmall(smallVolumeRecipe(turned), join(dir, 'turned-set')),
  ]
  for (const { file } of expected.index.shards) {
    const { mask } = await readSafetensors(join(found.dir, file))
    assert.deepEqual(mask!.data, (await readSafetensors(join(expected.dir, file))).mask!.data)
  }
  const notesOf = async (set: string) => Object.entries((await readPrepareReport(set))!.notes)
  assert.deepEqual(await notesOf(expected.dir), [])
  const [[note, cases]] = (await notesOf(found.dir)) as [[string, number]]
  assert.match(note, /^The image and its mask are stored in different orientations; both are turned/)
  assert.equal(cases, 2)
})

test('a dry run says how many bytes it takes, mask included', async () => {
  const plan = await dryRunPrepare(smallVolumeRecipe(root, { prepare: { spacing_mm: 'source' } }), {
    root,
    prepared: join(dir, 'dry/prepared'),
    workers: 1,
    ...quiet,
  })
  const voxels = Array.from({ length: 6 }, (_, n) => 5 * 8 * (11 + n)).reduce((a, b) => a + b, 0)
  assert.equal(plan.bytes, voxels * (2 + 1))
})

test('of a value with more voxels than are listed, every so many-th is taken', () => {
  const shape = [30, 40, 50] as const
  const mask = new Uint8Array(30 * 40 * 50).map((_, i) => (i % 3 === 0 ? 7 : i % 1000 === 1 ? 9 : 0))
  const { rows, voxels } = foregroundIndex(mask, shape)
  const listed = Array.from({ length: rows.length / 4 }, (_, m) => rows.subarray(m * 4, m * 4 + 4))
  const sevens = listed.filter(([value]) => value === 7)
  assert.equal(sevens.length, 10_000)
  assert.equal(listed.length - sevens.length, voxels['9'])
  const at = sevens.map(([, z, y, x]) => (z! * 40 + y!) * 50 + x!)
  assert(at.every((position, i) => mask[position] === 7 && (i === 0 || position > at[i - 1]!)))
  assert(Math.max(...at.slice(1).map((position, i) => position - at[i]!)) <= 9, 'evenly')
})
