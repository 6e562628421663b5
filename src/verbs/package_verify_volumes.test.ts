import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { dicomMask } from '../package/dicom_mask.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { loadSegmenter } from '../package/load_segmenter.ts'
import { TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import type { Certificate } from '../schema/model_package.ts'
import { quietIo } from './io.ts'
import { loadRecipe } from './load_recipe.ts'
import { verifyPackage } from './package_verify.ts'
import { servedMask } from './served_mask.ts'

let scratch = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-verify-volumes-'))
})
after(() => rm(scratch, { recursive: true, force: true }))

const scans = (await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12])).map(({ bytes }) => bytes)

/** A Decathlon folder of volumes with empty masks, and its recipe. */
async function decathlon(name: string, volumes: readonly Uint8Array[]) {
  const root = join(scratch, name)
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  const training: { image: string; label: string }[] = []
  for (const [i, bytes] of volumes.entries()) {
    const volume = await readNifti(bytes)
    const mask = { ...volume, channels: 1, data: new Uint8Array(volume.data.length / volume.channels) }
    const [image, label] = [`./imagesTr/c${i}.nii.gz`, `./labelsTr/c${i}.nii.gz`]
    await writeFile(join(root, image), bytes)
    await writeFile(join(root, label), await writeNifti(mask, { gzip: true }))
    training.push({ image, label })
  }
  const labels = { 0: 'background', 2: 'body', 5: 'tail' }
  await writeFile(join(root, 'dataset.json'), JSON.stringify({ modality: { 0: 'MR' }, labels, training }))
  return recipe(name, 'decathlon')
}

async function recipe(name: string, source: string) {
  const path = join(scratch, `${name}.yaml`)
  await writeFile(
    path,
    `name: ${name}\ndata: { root: ${name}, source: ${source} }\ntask: { kind: segment, labels: { body: 2, tail: 5 } }\n`,
  )
  return loadRecipe(path)
}

async function certified(name: string, cases: readonly (readonly Uint8Array[])[], channels = 1) {
  const dir = join(scratch, name)
  const intensity = Array.from({ length: channels }, () => ({ kind: 'zscore' as const }))
  await writeTinySegmenter(dir, { cases, spec: { channels, intensity } })
  return dir
}

const failing = (checks: readonly Certificate['checks'][number][]) =>
  checks.filter(({ passed }) => !passed).map(({ name, value }) => [name, value])

test('a certificate keeps hashes and measures of its real cases, and verify finds their files by content', async () => {
  const dir = await certified('pkg', [[scans[1]!]])
  const logged: string[] = []
  const alone = await verifyPackage(dir, {}, { ...quietIo(), log: (line) => logged.push(line) })
  assert.ok(alone.certificate.passed)
  assert.match(logged.join(), /golden phantoms only; --data <recipe> checks the real cases too/)
  const data = await decathlon('moved', [scans[0]!, scans[1]!])
  const { certificate } = await verifyPackage(dir, { data }, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
  assert.deepEqual(certificate.checks.slice(-5), [
    { name: 'golden_served_masks_differing_voxels', passed: true, value: 0, limit: 0 },
    { name: 'validation_tensors', passed: true, value: 0, limit: 0 },
    { name: 'validation_recorded_masks_differing_share', passed: true, value: 0, limit: 1e-4 },
    { name: 'validation_served_masks_differing_voxels', passed: true, value: 0, limit: 0 },
    { name: 'validation_files_absent', passed: true, value: 0, limit: 0 },
  ])
})

test('cases whose files are not at hand or were changed are counted, and a package without any is told', async () => {
  const dir = await certified('absent', [[scans[0]!], [scans[1]!]])
  const volume = await readNifti(scans[1]!)
  volume.data[55]! += 1
  const data = await decathlon('changed', [scans[0]!, await writeNifti(volume, { gzip: true })])
  const { certificate } = await verifyPackage(dir, { data }, quietIo())
  assert.deepEqual(failing(certificate.checks), [['validation_files_absent', 1]])
  const none = await certified('none', [])
  await assert.rejects(verifyPackage(none, { data }, quietIo()), /keeps no real case[\s\S]*leave --data out/)
})

test('a mask that has become another one since is told, though the certificate was made to say that it passed', async () => {
  const dir = await certified('forged', [[scans[1]!]])
  const path = join(dir, 'certificate.json')
  const certificate = JSON.parse(await readFile(path, 'utf8')) as Certificate
  const { place } = certificate.volumes![0]!.structures.body!
  place!.centroid[2] += 0.5
  await writeFile(path, JSON.stringify(certificate))
  const data = await decathlon('same', [scans[1]!])
  const found = await verifyPackage(dir, { data }, quietIo())
  const [[name, share]] = failing(found.certificate.checks) as [[string, number]]
  assert.equal(name, 'validation_recorded_masks_differing_share')
  assert.ok(share > 1e-3, `${share}`)
})

test('a DICOM series is found whatever its files are called now, and served instance by instance', async () => {
  const { files } = obliqueSeries()
  const dir = await certified('series-pkg', [files])
  const { volumes } = JSON.parse(await readFile(join(dir, 'certificate.json'), 'utf8')) as Certificate
  assert.deepEqual([volumes![0]!.num_files, volumes![0]!.shape], [6, [6, 7, 9]])
  const loaded = await loadSegmenter(dir, { threads: 1 })
  const segmented = await loaded.segment(files)
  const served = await servedMask(loaded, files)
  assert.deepEqual([served.data, served.shape], [segmented.mask.data, segmented.mask.shape])
  await mkdir(join(scratch, 'series'))
  for (const [i, bytes] of files.entries())
    await writeFile(join(scratch, 'series', `${(5 * i + 3) % 7}`), bytes)
  await writeFile(join(scratch, 'series/mask'), dicomMask(files, segmented, loaded, new Date(0)))
  await loaded.close()
  const { certificate } = await verifyPackage(dir, { data: await recipe('series', 'dicom') }, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
})

test('channels in files of their own go to the server as one case, in their order', async () => {
  const volume = await readNifti(scans[0]!)
  const data = volume.data.map((v, i) => v + (i % 97)) as Float32Array
  const second = await writeNifti({ ...volume, data }, { gzip: true })
  const dir = await certified('pairs', [[scans[0]!, second]], 2)
  const loaded = await loadSegmenter(dir, { threads: 1 })
  const [one, other] = [
    await servedMask(loaded, [scans[0]!, second]),
    await servedMask(loaded, [second, scans[0]!]),
  ]
  assert.deepEqual(one.data, (await loaded.segment([scans[0]!, second])).mask.data)
  assert.notDeepEqual(other.data, one.data)
  await assert.rejects(servedMask(loaded, [scans[0]!]), /could not segment a volume: .*has 1 channel/)
  await loaded.close()
})
