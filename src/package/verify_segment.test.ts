import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { sha256 } from '../storage/local.ts'
import { loadSegmenter } from './load_segmenter.ts'
import { certifiedDigest, type PackageOnDisk, readAnyPackage } from './read.ts'
import { writeTinySegmenter } from './testing/tiny_segmenter.ts'
import { verifySegmentCertificate } from './verify_segment.ts'
import type { ServedMask } from './write_segment.ts'

let scratch = ''
let whole = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-verify-segment-'))
  whole = join(scratch, 'whole')
  const certificate = await writeTinySegmenter(whole, { networks: 2 })
  assert.equal(certificate.passed, true)
})
after(() => rm(scratch, { recursive: true, force: true }))

/** The inference path stands in for the server. */
const served: ServedMask = async (loaded, files) => (await loaded.segment(files)).mask

/** Checks that fail when a copy of the package is verified. */
async function failing(tamper: (dir: string) => Promise<void>): Promise<string[]> {
  const dir = await mkdtemp(join(scratch, 'copy-'))
  await cp(whole, dir, { recursive: true })
  await tamper(dir)
  const onDisk = (await readAnyPackage(dir)) as PackageOnDisk<SegmentPackage>
  const { passed, checks } = await verifySegmentCertificate(onDisk, { findFiles: null, served })
  assert.equal(passed, false)
  return checks.filter((check) => !check.passed).map((check) => check.name)
}

async function editModel(dir: string, edit: (model: SegmentPackage) => void): Promise<void> {
  const path = join(dir, 'model.json')
  const model = JSON.parse(await readFile(path, 'utf8')) as SegmentPackage
  edit(model)
  await writeFile(path, `${JSON.stringify(model, null, 2)}\n`)
}

/** As somebody would who wants a changed model to look certified. */
async function forgeCertificate(dir: string): Promise<void> {
  const path = join(dir, 'certificate.json')
  const certificate = JSON.parse(await readFile(path, 'utf8'))
  certificate.certified_sha256 = certifiedDigest(await readFile(join(dir, 'model.json'), 'utf8'))
  await writeFile(path, JSON.stringify(certificate))
}

async function changeByte(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[offset]! ^= 64
  await writeFile(path, bytes)
}

test('a whole package of two networks passes every check, golden masks among them', async () => {
  const onDisk = (await readAnyPackage(whole)) as PackageOnDisk<SegmentPackage>
  const { passed, checks } = await verifySegmentCertificate(onDisk, { findFiles: null, served })
  assert.equal(passed, true)
  assert.deepEqual(
    checks.map(({ name }) => name),
    [
      'damaged_files',
      'model_json',
      'failed_when_certified',
      'golden_tensors',
      'golden_probability_difference',
      'golden_masks_differing_share',
      'golden_served_masks_differing_voxels',
    ],
  )
})

const NUMBERS = ['golden_probability_difference', 'golden_masks_differing_share']
for (const [what, edit, golden] of [
  ['a moved spacing', ({ preprocess }) => preprocess.spacing_mm!.reverse(), ['golden_tensors', ...NUMBERS]],
  [
    'a flipped orientation',
    ({ preprocess }) => {
      preprocess.orientation = 'LAS'
    },
    ['golden_tensors', ...NUMBERS],
  ],
  [
    'another normalisation of values',
    ({ preprocess }) => {
      preprocess.intensity = [{ kind: 'percentile', low: 0.5, high: 99.5 }]
    },
    ['golden_tensors', ...NUMBERS],
  ],
  [
    'another normalisation in the network, which fills the outside',
    ({ networks }) => {
      networks[0]!.normalization.mean = [5]
    },
    NUMBERS,
  ],
  [
    'another overlap',
    (model) => {
      model.overlap = 0
    },
    NUMBERS,
  ],
  [
    'mirrored windows',
    ({ inference }) => {
      inference.mirror = ['x']
    },
    NUMBERS,
  ],
  ['swapped structures', ({ task }) => task.structures.reverse(), ['golden_masks_differing_share']],
  [
    'a network left out',
    ({ networks }) => {
      networks.pop()
    },
    NUMBERS,
  ],
] satisfies [string, (model: SegmentPackage) => void, string[]][])
  test(`${what} in model.json is caught by its hash, and by the golden volumes where that was forged`, async () => {
    const found = await failing((dir) => editModel(dir, edit))
    assert.deepEqual(found, ['model_json', ...golden])
    const forged = await failing(async (dir) => {
      await editModel(dir, edit)
      await forgeCertificate(dir)
    })
    assert.deepEqual(forged, golden)
  })

test('structures that swap their names alone, which no mask shows, are caught by the hash', async () => {
  const swapNames = ({ task: { structures } }: SegmentPackage) => {
    structures[0]!.name = 'tail'
    structures[1]!.name = 'body'
  }
  assert.deepEqual(await failing((dir) => editModel(dir, swapNames)), ['model_json'])
})

test('another weight is damage, and moves the golden probabilities where its hash was forged', async () => {
  const graph = await readFile(join(whole, 'model.onnx'))
  const weights = graph.indexOf('weight', graph.indexOf('std') + 3) // the initializer; nodes come first
  const offset = weights + 6 + 4 + 4 * 40 + 3
  const tamper = (dir: string) => changeByte(join(dir, 'model.onnx'), offset)
  const found = await failing(tamper)
  assert.equal(found[0], 'damaged_files')
  const forged = await failing(async (dir) => {
    await tamper(dir)
    const hash = sha256(await readFile(join(dir, 'model.onnx')))
    await editModel(dir, ({ files }) => {
      files['model.onnx'] = hash
    })
    await forgeCertificate(dir)
  })
  assert.ok(forged.includes('golden_probability_difference'), forged.join())
})

test('a golden volume that cannot be read any more is damage, not a crash', async () => {
  const found = await failing((dir) => writeFile(join(dir, 'golden/ras.nii.gz'), 'x'))
  assert.deepEqual(found, ['damaged_files'])
})

test('a changed model.json is not opened, unless asked for and then with a warning', async () => {
  const dir = await mkdtemp(join(scratch, 'copy-'))
  await cp(whole, dir, { recursive: true })
  await editModel(dir, (model) => {
    model.overlap = 0.25
  })
  await assert.rejects(loadSegmenter(dir), /is not certified: model\.json was changed/)
  const loaded = await loadSegmenter(dir, { allowFailed: true, threads: 1 })
  assert.match(loaded.warnings.join(), /not certified/)
  await loaded.close()
})
