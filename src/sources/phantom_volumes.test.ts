import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { apply, determinant, invert, voxelSizes } from '../imaging/geometry/affine.ts'
import { axcodes } from '../imaging/geometry/orientation.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { DataConfig, PhantomVolumesSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { type Ellipsoid, planPhantomVolumes } from './phantom_volumes_plan.ts'
import { renderPhantomVolume } from './phantom_volumes_render.ts'
import { ensurePhantomVolumes } from './phantom_volumes_write.ts'
import { readSource } from './read.ts'

const dir = await mkdtemp(join(tmpdir(), 'fiducial-phantom-volumes-'))
after(() => rm(dir, { recursive: true }))

const SMALL = { kind: 'phantom_volumes', patients: 7, voxel_mm: 6 }
const parameters = (values: object = {}) => PhantomVolumesSource.parse({ ...SMALL, ...values })
const task = Task.parse({ kind: 'segment', labels: { Organ: 1, Lesion: 2 } })
const read = (root: string, source: object = SMALL, options = {}) =>
  readSource(DataConfig.parse({ root, source }), task, root, undefined, options)

test('the same seed gives the same bytes, another seed other ones', async () => {
  const [one, two, other] = ['one', 'two', 'other'].map((name) => join(dir, name))
  await ensurePhantomVolumes(parameters(), one!)
  await ensurePhantomVolumes(parameters(), two!)
  await ensurePhantomVolumes(parameters({ seed: 1 }), other!)
  assert.deepEqual(await digests(one!), await digests(two!))
  assert.notDeepEqual(await digests(one!), await digests(other!))
})

test('cases lie in several orientations, unequal in spacing, every second about askew, several of a patient', () => {
  const cases = planPhantomVolumes(parameters({ patients: 20 }))
  for (const { grid, orientation } of cases) {
    assert.equal(axcodes(grid.affine), orientation)
    const sizes = [...voxelSizes(grid.affine)].sort((a, b) => a - b)
    assert.ok(sizes[2]! / sizes[0]! > 1.4, `${sizes}`)
  }
  assert.ok(new Set(cases.map((one) => one.orientation)).size >= 5)
  const askew = cases.filter(
    ({ grid }) => grid.affine.slice(0, 11).filter((v) => Math.abs(v) > 1e-6).length > 6,
  )
  assert.ok(askew.length > cases.length / 4 && askew.length < cases.length, `${askew.length}`)
  assert.ok(new Set(cases.map((one) => one.patient_id)).size < cases.length)
})

test('a lesion lies wholly within its organ, which lies on the right of the body, and some patients have none', () => {
  const cases = planPhantomVolumes(parameters({ patients: 40 }))
  const sick = cases.filter(({ lesion }) => lesion !== null)
  assert.ok(sick.length > 0 && sick.length < cases.length)
  for (const { organ, twin, lesion } of cases) {
    assert.ok(organ.centre[0] > 10 && twin.centre[0] < -10)
    if (lesion !== null) assert.ok(isWithin(lesion, organ))
  }
})

test('masks have the volumes of the truth, whatever the grid, and lie where the plan says', async () => {
  const source = parameters({ voxel_mm: 2 })
  for (const phantom of planPhantomVolumes(source).slice(0, 5)) {
    const { mask } = renderPhantomVolume(source, phantom)
    const voxel = Math.abs(determinant(mask.affine)) / 1000
    const count = (value: number) => mask.data.filter((one) => one === value).length * voxel
    assert.ok(
      Math.abs(count(1) - phantom.volumes_ml.Organ) < 0.04 * phantom.volumes_ml.Organ,
      phantom.case_id,
    )
    assert.ok(Math.abs(count(2) - phantom.volumes_ml.Lesion) < 0.25, phantom.case_id)
    const world = phantom.organ.centre.map((c, k) => c + phantom.position[k]!) as [number, number, number]
    const [z, y, x] = apply(invert(mask.affine), world).map(Math.round) as [number, number, number]
    const [, ny, nx] = mask.shape
    assert.notEqual(mask.data[(z * ny + y) * nx + x], 0, 'the organ is at its centre')
  }
})

test('structures show by as much as difficulty leaves: plain at 0, not at all at 1', () => {
  const contrast = (difficulty: number): number => {
    const source = parameters({ difficulty, voxel_mm: 4 })
    const phantom = planPhantomVolumes(source)[0]!
    const { image, mask } = renderPhantomVolume(source, phantom)
    const signal = [...image.data.subarray(0, mask.data.length)]
    const organ = median(signal.filter((_, i) => mask.data[i] === 1))
    const body = median(signal.filter((value, i) => mask.data[i] === 0 && value > organ / 2))
    return organ / body
  }
  assert.ok(contrast(0) > 1.25, `${contrast(0)}`)
  assert.ok(Math.abs(contrast(1) - 1) < 0.06, `${contrast(1)}`)
})

test('every file, case and reading says that it is synthetic, as a Decathlon folder too', async () => {
  const root = join(dir, 'said')
  const data = await read(root)
  assert.equal(data.synthetic, true)
  assert.match(data.warnings[0]!, /synthetic: a phantom that shows nobody/)
  assert.ok(data.cases.every((one) => one.attributes.synthetic === 'yes'))
  assert.deepEqual(
    new Set(data.cases.map((one) => one.case_id.split('_')[0])),
    new Set(data.cases.map((one) => one.patient_id)),
  )
  const bytes = await readFile(join(root, data.cases[0]!.images[0]!))
  assert.match(gunzipSync(bytes).subarray(148, 228).toString('latin1'), /SYNTHETIC/)
  const plain = await read(root, { kind: 'decathlon' })
  assert.equal(plain.synthetic, true)
  assert.ok(plain.cases.every((one) => one.attributes.synthetic === 'yes'))
})

test('planned cases are those that would be made, and nothing is written', async () => {
  const root = join(dir, 'planned')
  const planned = await read(root, SMALL, { mayGenerate: false })
  assert.equal(existsSync(root), false)
  const made = await read(root)
  assert.deepEqual(planned.cases, made.cases)
  for (const [i, one] of made.cases.entries()) {
    const { shape, affine } = await readNifti(await readFile(join(root, one.images[0]!)))
    const { grid, channels } = planned.volumes!.planned![i]!
    assert.deepEqual([shape, channels], [grid.shape, 2])
    assert.deepEqual(affine, grid.affine)
  }
})

test('another phantom is replaced, a folder of anything else is left as it is', async () => {
  const root = join(dir, 'replaced')
  await ensurePhantomVolumes(parameters(), root)
  await ensurePhantomVolumes(parameters({ patients: 4 }), root)
  assert.equal(
    (await readdir(join(root, 'imagesTr'))).length,
    planPhantomVolumes(parameters({ patients: 4 })).length,
  )
  const foreign = join(dir, 'foreign')
  await mkdir(foreign)
  await writeFile(join(foreign, 'thesis.txt'), 'years of work')
  await assert.rejects(ensurePhantomVolumes(parameters(), foreign), /holds no phantom/)
  assert.equal(await readFile(join(foreign, 'thesis.txt'), 'utf8'), 'years of work')
})

test('a generation that was stopped is known as such and done again', async () => {
  const root = join(dir, 'stopped')
  await assert.rejects(
    ensurePhantomVolumes(parameters(), root, AbortSignal.abort()),
    /Stopped while the volumes/,
  )
  assert.ok(existsSync(join(root, 'phantom_volumes.unfinished.json')))
  await ensurePhantomVolumes(parameters(), root)
  assert.deepEqual(await digests(root), await digests(join(dir, 'one')))
})

test('a structure that the phantom has not, and counts the wrong way round, are refused', async () => {
  const other = Task.parse({ kind: 'segment', labels: { Liver: 1 } })
  const root = join(dir, 'refused')
  await assert.rejects(
    readSource(DataConfig.parse({ root, source: SMALL }), other, root),
    /task\.labels\.Liver[\s\S]*Organ: 1, Lesion: 2/,
  )
  await assert.rejects(read(root, { ...SMALL, volumes_per_patient: [3, 1] }), UserError)
})

async function digests(root: string): Promise<Record<string, string>> {
  const names = (await readdir(root, { recursive: true, withFileTypes: true })).filter((one) => one.isFile())
  const found: Record<string, string> = {}
  for (const one of names) {
    const path = join(one.parentPath, one.name)
    found[path.slice(root.length)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  }
  return Object.fromEntries(Object.entries(found).sort())
}

/** Points of the inner one's surface, all inside the outer one. */
function isWithin(inner: Ellipsoid, outer: Ellipsoid): boolean {
  for (let i = 0; i < 400; i++) {
    const z = -1 + (2 * (i + 0.5)) / 400
    const angle = i * 2.399963
    const at = [Math.sqrt(1 - z * z) * Math.cos(angle), Math.sqrt(1 - z * z) * Math.sin(angle), z]
    const point = at.map((u, k) => inner.centre[k]! + u * inner.radii[k]!)
    const sum = point.reduce((s, p, k) => s + ((p - outer.centre[k]!) / outer.radii[k]!) ** 2, 0)
    if (sum > 1) return false
  }
  return true
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
