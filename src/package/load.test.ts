import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { loadPackage } from './load.ts'
import { makePhantoms } from './phantoms.ts'
import { tinyOnnx, tinyWeights } from './testing/tiny_onnx.ts'
import { TINY_SPEC, type TinyPackageOptions, writeTinyPackage } from './testing/tiny_package.ts'

let scratch = ''
let whole = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-load-'))
  whole = join(scratch, 'whole')
  await writeTinyPackage(whole)
})
after(() => rm(scratch, { recursive: true, force: true }))

let copies = 0
async function copyOfWhole(): Promise<string> {
  const dir = join(scratch, `copy-${copies++}`)
  await cp(whole, dir, { recursive: true })
  return dir
}
async function tiny(options: TinyPackageOptions): Promise<string> {
  const dir = join(scratch, `tiny-${copies++}`)
  await writeTinyPackage(dir, options)
  return dir
}
const phantoms = await makePhantoms(TINY_SPEC)
const phantom = (file: string) => phantoms.find((p) => p.file === file)!

test('a package scores files without Python, in their order, and lists those it cannot read', async () => {
  const loaded = await loadPackage(whole)
  const { predictions, failed, package_digest } = await loaded.predict([
    { name: 'a.png', bytes: phantom('grey-8bit.png').bytes },
    { name: 'notes.txt', bytes: Buffer.from('no picture') },
    { name: 'sub/b.tif', bytes: phantom('colour.tif').bytes },
  ])
  await loaded.close()
  assert.deepEqual(
    predictions.map((p) => [p.file, p.case_id]),
    [
      ['a.png', 'a'],
      ['sub/b.tif', 'sub/b'],
    ],
  )
  assert.deepEqual(Object.keys(predictions[0]!.scores), ['nodule', 'effusion'])
  assert.equal(failed.length, 1)
  assert.equal(failed[0]!.file, 'notes.txt')
  assert.equal(package_digest, loaded.digest)
})

test('the score of a linear network is what the arithmetic on the stored tensor says', async () => {
  const loaded = await loadPackage(whole)
  const { predictions } = await loaded.predict([{ name: 'a.png', bytes: phantom('grey-8bit.png').bytes }])
  const { preprocess } = await import('../imaging/preprocess.ts')
  const { data } = await preprocess(phantom('grey-8bit.png').bytes, TINY_SPEC)
  const { offset, scale, mean, std } = loaded.model.input.normalization!
  const x = Array.from(data, (v) => ((v + offset) * scale - mean[0]!) / std[0]!)
  const [weight] = tinyWeights(loaded.model.input.shape, 2)
  const logit = x.reduce((sum, v, i) => sum + v * weight![i]!, 0)
  await loaded.close()
  assert.ok(Math.abs(predictions[0]!.scores.nodule! - 1 / (1 + Math.exp(-logit))) < 1e-6)
})

test('a decision is positive from the threshold on, and the threshold is in the result', async () => {
  const first = await loadPackage(whole)
  const file = { name: 'a.png', bytes: phantom('grey-8bit.png').bytes }
  const score = (await first.predict([file])).predictions[0]!.scores.nodule!
  await first.close()
  for (const [threshold, expected] of [
    [score, true],
    [score + 1e-9, false],
  ] as const) {
    const loaded = await loadPackage(await tiny({ thresholds: { nodule: threshold } }))
    const [prediction] = (await loaded.predict([file])).predictions
    await loaded.close()
    assert.equal(prediction!.decisions.nodule, expected)
    assert.equal(prediction!.operating_points.nodule, threshold)
    assert.equal(prediction!.decisions.effusion, undefined, 'no operating point, no decision')
    assert.ok(prediction!.warnings.some((w) => w.includes('effusion has no operating point')))
  }
})

test('classes that exclude each other add up to one, and one is decided', async () => {
  const labels = ['a', 'b', 'c']
  const dir = await tiny({ labels, model: { task: { kind: 'classify', labels, exclusive: true } } })
  const loaded = await loadPackage(dir)
  const [prediction] = (await loaded.predict([{ name: 'x', bytes: phantom('grey-8bit.png').bytes }]))
    .predictions
  await loaded.close()
  const scores = labels.map((label) => prediction!.scores[label]!)
  assert.ok(Math.abs(scores.reduce((a, b) => a + b) - 1) < 1e-12)
  const top = labels[scores.indexOf(Math.max(...scores))]!
  assert.deepEqual(
    labels.filter((label) => prediction!.decisions[label]),
    [top],
  )
})

test('a float32 graph is fed values normalised as model.json says', async () => {
  const inGraph = await loadPackage(whole)
  const outside = await loadPackage(await tiny({ dtype: 'float32' }))
  const file = { name: 'a.jpg', bytes: phantom('colour-turned.jpg').bytes }
  const a = (await inGraph.predict([file])).predictions[0]!
  const b = (await outside.predict([file])).predictions[0]!
  await Promise.all([inGraph.close(), outside.close()])
  assert.ok(Math.abs(a.scores.nodule! - b.scores.nodule!) < 1e-6)
})

test('a flat image and one of another size than any seen in training carry warnings', async () => {
  const { default: sharp } = await import('sharp')
  const flat = await sharp({ create: { width: 9, height: 7, channels: 3, background: '#888' } })
    .png()
    .toBuffer()
  const dir = await tiny({
    model: {
      synthetic: true,
      fingerprint: {
        kind: 'images',
        num_cases: 9,
        source_formats: { 'jpeg/8-bit/grey': 9 },
        source_height: { min: 1000, median: 1000, max: 1200 },
        source_width: { min: 1000, median: 1000, max: 1200 },
        mean: [0.5],
        std: [0.2],
      },
    },
  })
  const loaded = await loadPackage(dir)
  const [prediction] = (await loaded.predict([{ name: 'flat.png', bytes: flat }])).predictions
  await loaded.close()
  const text = prediction!.warnings.join('\n')
  for (const part of ['synthetic', 'flat colour', '7 x 9 pixels', 'is png'])
    assert.ok(text.includes(part), `${part} in ${text}`)
})

const refused = (dir: string, ...parts: (string | RegExp)[]) =>
  assert.rejects(loadPackage(dir), (error) => {
    assert.ok(error instanceof UserError, String(error))
    for (const part of parts) assert.match(error.message, part instanceof RegExp ? part : new RegExp(part))
    return true
  })

test('a folder without model.json is no package', () => refused(scratch, 'not a model package'))

test('a changed and a missing file are each named', async () => {
  const dir = await copyOfWhole()
  await truncate(join(dir, 'golden/colour.webp'), 100)
  await rm(join(dir, 'golden/colour.tif'))
  await refused(dir, /golden\/colour\.webp is corrupt/, /golden\/colour\.tif is missing/)
})

test('a corrupt network is named before it is loaded', async () => {
  const dir = await copyOfWhole()
  const onnx = await readFile(join(dir, 'model.onnx'))
  onnx[onnx.length - 40]! ^= 1
  await writeFile(join(dir, 'model.onnx'), onnx)
  await refused(dir, /model\.onnx is corrupt/)
})

test('a model.json that is cut short, or names a path outside, is refused', async () => {
  const dir = await copyOfWhole()
  const text = await readFile(join(dir, 'model.json'), 'utf8')
  await writeFile(join(dir, 'model.json'), text.slice(0, 300))
  await refused(dir, /model\.json is not JSON/)
  const model = JSON.parse(text)
  model.files['../outside'] = model.files['model.onnx']
  await writeFile(join(dir, 'model.json'), JSON.stringify(model))
  await assert.rejects(loadPackage(dir, { allowFailed: true }), /outside the package/)
})

test('a threshold moved after certification is refused, unless failing packages are allowed', async () => {
  const dir = await copyOfWhole()
  const model = JSON.parse(await readFile(join(dir, 'model.json'), 'utf8'))
  model.operating_points.nodule.threshold = 0.4
  await writeFile(join(dir, 'model.json'), JSON.stringify(model, null, 2))
  await refused(dir, /not certified: model\.json was changed/)
  const loaded = await loadPackage(dir, { allowFailed: true })
  await loaded.close()
  assert.match(loaded.warnings.join(), /not certified/)
})

test('approving a package keeps its certificate', async () => {
  const dir = await copyOfWhole()
  const text = await readFile(join(dir, 'model.json'), 'utf8')
  await writeFile(join(dir, 'model.json'), text.replace('"status": "draft"', '"status": "approved"'))
  await (await loadPackage(dir)).close()
})

test('a package without a certificate, or with a failed one, is refused', async () => {
  const dir = await copyOfWhole()
  const path = join(dir, 'certificate.json')
  const certificate = JSON.parse(await readFile(path, 'utf8'))
  certificate.checks[0].passed = false
  await writeFile(path, JSON.stringify(certificate))
  await refused(dir, /certificate failed: golden_unreadable/)
  await rename(path, `${path}.gone`)
  await refused(dir, /no certificate\.json/)
})

test('a graph that is malformed, or does not fit its model.json, is named with what it has', async () => {
  const { openPackage } = await import('./load.ts')
  const { readPackage } = await import('./read.ts')
  const attempt = async (onnx: Uint8Array, pattern: RegExp) => {
    const dir = await copyOfWhole()
    await writeFile(join(dir, 'model.onnx'), onnx)
    await assert.rejects(openPackage(await readPackage(dir), null), (error) => {
      assert.ok(error instanceof UserError, String(error))
      assert.match(error.message, /model\.onnx/)
      assert.match(error.message, pattern)
      return true
    })
  }
  const shape: [number, number, number] = [1, 24, 20]
  const base = {
    shape,
    dtype: 'uint8',
    normalization: null,
    weight: tinyWeights(shape, 2),
    bias: [0, 0],
  } as const
  const graph = (changes: object) => tinyOnnx({ ...base, weight: [...base.weight], bias: [0, 0], ...changes })
  await attempt(Buffer.from('not a graph'), /cannot be loaded: it is not an ONNX file/)
  await attempt(new Uint8Array(0), /cannot be loaded/)
  await attempt(graph({ dtype: 'float32' }), /is float32, model\.json says uint8/)
  const colour: [number, number, number] = [3, 24, 20]
  await attempt(
    graph({ shape: colour, weight: tinyWeights(colour, 2) }),
    /is \[batch, 3, 24, 20\], expected \[batch, 1/,
  )
  await attempt(graph({ batch: 1 }), /is \[1, 1, 24, 20\]/)
  await attempt(graph({ weight: tinyWeights(shape, 3), bias: [0, 0, 0] }), /output "logits" is \[batch, 3\]/)
})

test('a path that holds a space, quotes and a newline loads', async () => {
  const dir = join(scratch, 'o\'dd "na\nme" %41')
  await mkdir(dir)
  await cp(whole, dir, { recursive: true })
  await (await loadPackage(dir)).close()
})
