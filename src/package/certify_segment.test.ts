import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodeRaster } from '#raster'
import { reorient } from '../imaging/geometry/orientation.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import type { CertifiedVolume } from '../schema/certified_volume.ts'
import { drawnImage } from '../sources/raster_fixture.ts'
import { sha256 } from '../storage/local.ts'
import {
  type CertifySegmentOptions,
  certifySegmenter,
  checkRecordedCases,
  type SegmentReference,
} from './certify_segment.ts'
import { type ExpectedVolume, readGoldenVolumes } from './golden_volume.ts'
import { type LoadedSegmenter, loadSegmenter } from './load_segmenter.ts'
import { readAnyManifest } from './read.ts'
import { maskOf, probabilitiesOf, segmentFiles } from './segment.ts'
import type { Session } from './session.ts'
import { cutWindows } from './sliding_window.ts'
import { TINY_IMAGE, writeTinySegmenter } from './testing/tiny_segmenter.ts'

let scratch = ''
let loaded: LoadedSegmenter
let reference: SegmentReference
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-certify-segment-'))
  await writeTinySegmenter(scratch, { networks: 2 })
  loaded = await loadSegmenter(scratch, { threads: 1 })
  reference = await ownReference()
})
after(async () => {
  await loaded.close()
  await rm(scratch, { recursive: true, force: true })
})

/** What the package itself computes, as a reference that it must pass. */
async function ownReference(): Promise<SegmentReference> {
  const { model, networks } = loaded
  const golden = await readGoldenVolumes(scratch, model.preprocess)
  const patch = model.input.patch_size
  const { data, shape } = golden[1]!.stored
  const corners = [
    [0, 0, 0],
    [3, 2, 5],
    [9, 4, 1],
  ] as const
  const patches = cutWindows({ volume: data, shape, patch, empty: [0] }, corners)
  const logits = await Promise.all(networks.map((network) => network.run(patches, [3, 1, ...patch])))
  const probabilities = await probabilitiesOf(golden[1]!.stored, model, networks)
  return {
    golden,
    patches: logits.map((one) => ({ patches, count: corners.length, logits: () => one })),
    cases: [
      {
        read: async () => [golden[1]!.bytes],
        stored: data,
        probabilities,
        mask: maskOf(probabilities, golden[1]!.stored, model).data,
      },
      {
        read: async () => [golden[0]!.bytes],
        stored: golden[0]!.stored.data,
        probabilities: null,
        mask: null,
      },
    ],
  }
}

/** The inference path stands in for the server, which verbs/served_mask.test.ts holds it against. */
const options = (found: LoadedSegmenter): CertifySegmentOptions => ({
  tolerance: 1e-4,
  served: async (files) => (await segmentFiles(files, found.model, found.networks)).mask,
})

async function failing(found: LoadedSegmenter, against: Partial<SegmentReference> = {}): Promise<string[]> {
  const { checks } = await certifySegmenter(found, { ...reference, ...against }, options(found))
  return checks.filter(({ passed }) => !passed).map(({ name }) => name)
}

/** The package with one network's outputs changed. */
function withOutputs(
  change: (outputs: Float32Array, dims: readonly number[]) => Float32Array,
): LoadedSegmenter {
  const [first, second] = loaded.networks as [Session, Session]
  const run = async (x: StoredVoxels, dims: readonly number[]) =>
    change(await first.run(x as never, dims), dims)
  return { ...loaded, networks: [{ ...first, run }, second] }
}

test('a package that computes what its reference does passes every check', async () => {
  const { checks } = await certifySegmenter(loaded, reference, options(loaded))
  assert.deepEqual(
    checks.map(({ name, passed }) => [name, passed]),
    [
      ['patch_logits_batch_1_relative_difference', true],
      ['patch_logits_batch_2_relative_difference', true],
      ['patch_logits_batch_7_relative_difference', true],
      ['golden_tensors', true],
      ['golden_probability_difference', true],
      ['golden_masks_differing_share', true],
      ['golden_served_masks_differing_voxels', true],
      ['validation_tensors', true],
      ['validation_probability_difference', true],
      ['validation_masks_differing_share', true],
      ['validation_served_masks_differing_voxels', true],
    ],
  )
})

test('one network of an ensemble that is slightly off fails patches and probabilities', async () => {
  const off = withOutputs((outputs, [batch]) =>
    outputs.map((value, i) => (i % (outputs.length / batch!) < 1000 ? value + 0.01 : value)),
  )
  const found = await failing(off)
  for (const name of ['patch_logits_batch_1_relative_difference', 'golden_probability_difference'])
    assert.ok(found.includes(name), found.join())
  assert.ok(found.includes('validation_probability_difference'), found.join())
})

test('a batch dimension that mixes windows up fails at batches above 1 only', async () => {
  const reversed = withOutputs((outputs, [batch]) => {
    const size = outputs.length / batch!
    const out = new Float32Array(outputs.length)
    for (let b = 0; b < batch!; b++)
      out.set(outputs.subarray(b * size, (b + 1) * size), (batch! - 1 - b) * size)
    return out
  })
  assert.deepEqual(await failing(reversed), [
    'patch_logits_batch_2_relative_difference',
    'patch_logits_batch_7_relative_difference',
  ])
})

test('mirrored outputs, swapped outputs and NaN are caught', async () => {
  const half = (outputs: Float32Array, dims: readonly number[]) => outputs.length / 3 / dims[0]!
  const swapped = withOutputs((outputs, dims) => {
    if (dims[0] !== 1) return outputs
    const n = half(outputs, dims)
    return Float32Array.from(outputs, (_, i) => outputs[i < n ? i : i < 2 * n ? i + n : i - n]!)
  })
  const found = await failing(swapped)
  assert.ok(
    found.includes('golden_masks_differing_share') && found.includes('validation_masks_differing_share'),
  )
  const reversed = await failing(withOutputs((outputs) => outputs.slice().reverse()))
  assert.ok(reversed.includes('patch_logits_batch_1_relative_difference'))
  await assert.rejects(failing(withOutputs((outputs) => outputs.fill(Number.NaN))), /NaN/)
})

test('another stored tensor, another mask of validation and probabilities of another case are caught', async () => {
  const [first, second] = reference.cases
  const moved = first!.stored.slice()
  moved[17]! += 1
  const mask = first!.mask!.slice()
  const at = mask.findIndex((value) => value !== 0)
  mask.fill(0, at, at + 9)
  assert.deepEqual(
    await failing(loaded, { cases: [{ ...first!, stored: moved as StoredVoxels }, second!] }),
    ['validation_tensors'],
  )
  assert.deepEqual(await failing(loaded, { cases: [{ ...first!, mask }] }), [
    'validation_masks_differing_share',
  ])
  assert.deepEqual(
    await failing(loaded, { cases: [{ ...first!, probabilities: reference.golden[0]!.probabilities }] }),
    ['validation_probability_difference'],
  )
})

test('a server that gives one voxel another value, or the mask on another grid, is caught', async () => {
  const { served } = options(loaded)
  for (const change of [
    ({ data, ...mask }: Volume) => ({ ...mask, data: data.with(777, data[777]! + 1) as Uint8Array }),
    ({ affine, ...mask }: Volume) => ({ ...mask, affine: affine.with(3, affine[3]! + 1) }),
    (mask: Volume) => reorient(mask, 'SRA'),
  ]) {
    const { checks } = await certifySegmenter(loaded, reference, {
      tolerance: 1e-4,
      served: async (files) => change(await served(files)),
    })
    assert.deepEqual(
      checks.filter(({ passed }) => !passed).map(({ name }) => name),
      ['golden_served_masks_differing_voxels', 'validation_served_masks_differing_voxels'],
    )
  }
})

test('what is kept of a real case passes again, and says when tensors or masks have become other ones', async () => {
  const { volumes } = await certifySegmenter(loaded, reference, options(loaded))
  const [recorded] = volumes
  const [, file] = (await readGoldenVolumes(scratch, loaded.model.preprocess)) as [never, ExpectedVolume]
  assert.deepEqual(recorded!.shape, file.stored.source.shape)
  assert.equal(recorded!.files_sha256, sha256(file.bytes))
  assert.ok(recorded!.structures.body!.voxels > 100)
  const again = async (found: LoadedSegmenter, changed: Partial<CertifiedVolume> = {}) => {
    const cases = [{ recorded: { ...recorded!, ...changed }, read: async () => [file.bytes] }]
    const checks = await checkRecordedCases(found, cases, options(found))
    assert.deepEqual(
      checks.map(({ name }) => name),
      [
        'validation_tensors',
        'validation_recorded_masks_differing_share',
        'validation_served_masks_differing_voxels',
      ],
    )
    return checks.filter(({ passed }) => !passed).map(({ name }) => name)
  }
  const MASKS = 'validation_recorded_masks_differing_share'
  assert.deepEqual(await again(loaded), [])
  assert.deepEqual(await again(loaded, { tensor_sha256: '0'.repeat(64) }), ['validation_tensors'])
  assert.deepEqual(await again(loaded, { shape: [26, 30, 22] }), [MASKS])
  assert.deepEqual(await again(withOutputs((outputs) => outputs.slice().reverse())), [MASKS])
  const { body, tail } = recorded!.structures
  assert.deepEqual(await again(loaded, { structures: { body: tail!, tail: body! } }), [MASKS])
  assert.deepEqual(await again(loaded, { structures: { body: body! } }), [MASKS])
  const one = { ...body!, voxels: body!.voxels + 1 }
  assert.deepEqual(
    await again(loaded, { structures: { body: one, tail: tail! } }),
    [],
    'one voxel of rounding',
  )
})

test('of lossy 2D images, which another decoder may read otherwise, the masks alone are compared again', async () => {
  const dir = join(scratch, 'images')
  const { image } = drawnImage(0, 3)
  const files: Uint8Array[] = []
  for (const format of ['png', 'jpeg'] as const) files.push(await encodeRaster(image, format))
  await writeTinySegmenter(dir, { ...TINY_IMAGE, cases: files.map((one) => [one]) })
  const { certificate } = await readAnyManifest(dir)
  const images = await loadSegmenter(dir, { threads: 1 })
  const check = (chosen: readonly number[]) =>
    checkRecordedCases(
      images,
      chosen.map((i) => ({
        recorded: { ...certificate!.volumes![i]!, tensor_sha256: '0'.repeat(64) },
        read: async () => [files[i]!],
      })),
      options(images),
    )
  const [tensors, ...masks] = await check([0, 1])
  assert.deepEqual([tensors!.name, tensors!.value], ['validation_tensors', 1], 'of the PNG')
  assert.deepEqual(await check([1]), masks)
  assert.ok(masks.every(({ passed }) => passed))
  await images.close()
})
