import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse as parseYaml, stringify } from 'yaml'
import { preprocess } from '../imaging/preprocess.ts'
import { loadPackage } from '../package/load.ts'
import { parseOnnxSpec } from '../package/onnx_spec.ts'
import { makePhantoms } from '../package/phantoms.ts'
import { externalWeight, type TinyModel, tinyOnnx, tinyWeights } from '../package/testing/tiny_onnx.ts'
import { TINY_SPEC } from '../package/testing/tiny_package.ts'
import { PROJECT_ROOT } from '../python/environment.ts'
import { UserError } from '../schema/errors.ts'
import { ModelPackage } from '../schema/model_package.ts'
import { quietIo } from './io.ts'
import { packageOnnx } from './package_onnx.ts'
import { verifyPackage } from './package_verify.ts'
import { readReferenceCases } from './reference_cases.ts'

const SHAPE: [number, number, number] = [3, 24, 20]
const LABELS = ['nodule', 'effusion']
const MEAN = [0.485, 0.456, 0.406]
const STD = [0.229, 0.224, 0.225]
const GRAPH: TinyModel = {
  shape: SHAPE,
  dtype: 'float32',
  normalization: null,
  weight: tinyWeights(SHAPE, 2),
  bias: [0.1, -0.1],
}
const SPEC = {
  name: 'elsewhere',
  labels: LABELS,
  exclusive: false,
  activation: 'sigmoid',
  preprocess: {
    size: [24, 20],
    channels: 3,
    fit: 'squash',
    resample: 'bilinear',
    antialias: true,
    window: null,
    exif_orientation: true,
    flip: [],
    channel_order: 'rgb',
    stain: null,
  },
  input: { range: [0, 1], mean: MEAN, std: STD },
}

let scratch = ''
let made = 0
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-onnx-'))
})
after(() => rm(scratch, { recursive: true, force: true }))

/** Scores of an image by the arithmetic of the model, apart from the package's path. */
async function scoresElsewhere(bytes: Uint8Array): Promise<number[]> {
  const { data } = await preprocess(bytes, { ...TINY_SPEC, channels: 3 })
  const area = SHAPE[1] * SHAPE[2]
  const x = Array.from(data, (v, i) => (v / 255 - MEAN[Math.floor(i / area)]!) / STD[Math.floor(i / area)]!)
  return GRAPH.weight.map((row, l) => {
    const logit = row.reduce((sum, w, i) => sum + w * x[i]!, GRAPH.bias[l]!)
    return 1 / (1 + Math.exp(-logit))
  })
}

interface Changes {
  spec?: object
  onnx?: Uint8Array
  files?: Record<string, Uint8Array>
  rows?: (rows: string[][]) => string[][]
  truth?: boolean
}
async function onDisk({ spec = SPEC, onnx, files = {}, rows = (r) => r, truth = false }: Changes = {}) {
  const dir = join(scratch, String(made++))
  await mkdir(dir)
  await writeFile(join(dir, 'm.onnx'), onnx ?? tinyOnnx(GRAPH))
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(dir, name), bytes)
  await writeFile(join(dir, 'spec.yaml'), stringify(spec))
  const table = [['file', ...LABELS, ...(truth ? LABELS.map((l) => `truth_${l}`) : [])]]
  for (const { file, bytes } of await makePhantoms({ ...TINY_SPEC, size: [60, 70] })) {
    if (file.includes('16bit')) continue
    await writeFile(join(dir, file), bytes)
    const scores = await scoresElsewhere(bytes)
    const positive = (p: number) => (p > 0.45 ? '1' : '0')
    table.push([file, ...scores.map(String), ...(truth ? scores.map(positive) : [])])
  }
  await writeFile(
    join(dir, 'cases.csv'),
    rows(table)
      .map((row) => row.join(','))
      .join('\n'),
  )
  return {
    onnx: join(dir, 'm.onnx'),
    preprocess: join(dir, 'spec.yaml'),
    reference: join(dir, 'cases.csv'),
    out: join(dir, 'package'),
  }
}
const failing = (checks: readonly { name: string; passed: boolean }[]) =>
  checks.filter((check) => !check.passed).map((check) => check.name)
const changed = (preprocess: object, rest: object = {}) => ({
  ...SPEC,
  ...rest,
  preprocess: { ...SPEC.preprocess, ...preprocess },
})
const refused = (promise: Promise<unknown>, ...patterns: RegExp[]) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof UserError, String(error))
    for (const pattern of patterns) assert.match(error.message, pattern)
    return true
  })

test('a model trained elsewhere is packaged, certified against its own scores, and serves', async () => {
  const files = await onDisk()
  const { package_dir, certificate } = await packageOnnx(files, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
  for (const name of [
    'reference_file_batch_7_difference',
    'reference_served_flips',
    'golden_served_difference',
  ])
    assert.ok(
      certificate.checks.some((check) => check.name === name),
      name,
    )
  const loaded = await loadPackage(package_dir)
  const [prediction] = (
    await loaded.predict([{ name: 'x', bytes: await readFile(join(scratch, '0', 'colour.tif')) }])
  ).predictions
  await loaded.close()
  assert.ok(prediction!.warnings.some((w) => w.includes('no operating point')))
  assert.deepEqual(failing((await verifyPackage(package_dir, {}, quietIo())).certificate.checks), [])
})

describe('a spec that differs from how the model was trained fails the certificate, and nothing else', () => {
  const wrong: [string, object][] = [
    ['no antialiasing', changed({ antialias: false })],
    ['channels swapped', changed({ channel_order: 'bgr' })],
    ['another mean', { ...SPEC, input: { ...SPEC.input, mean: [0.5, 0.5, 0.5] } }],
    ['another range', { ...SPEC, input: { ...SPEC.input, range: [0, 255] } }],
    ['a flip', changed({ flip: ['x'] })],
    ['another fit', changed({ fit: 'pad', pad_value: 0 })],
    ['labels swapped', { ...SPEC, labels: [...LABELS].reverse() }],
  ]
  for (const [name, spec] of wrong)
    test(name, async () => {
      const files = await onDisk({ spec })
      const { package_dir, certificate } = await packageOnnx(files, quietIo())
      assert.equal(certificate.passed, false)
      assert.ok(failing(certificate.checks).includes('reference_file_batch_1_difference'))
      await refused(loadPackage(package_dir), /certificate failed/)
      await (await loadPackage(package_dir, { allowFailed: true })).close()
    })
})

test('every open question that would change a score is asked at once', async () => {
  const files = await onDisk({
    spec: { name: 'x', labels: LABELS, preprocess: { size: 24, channels: 3, fit: 'pad' } },
  })
  await refused(
    packageOnnx(files, quietIo()),
    /leaves open 13 things/,
    /preprocess\.antialias: true: the filter widens/,
    /preprocess\.pad_value/,
    /preprocess\.channel_order/,
    /preprocess\.stain/,
    /input\.mean/,
    /exclusive: /,
  )
})

test('without a spec the user gets one to fill in, with the sizes of the graph', async () => {
  const { onnx, reference } = await onDisk()
  await refused(
    packageOnnx({ onnx, reference }, quietIo()),
    /size: \[24, 20\]/,
    /channels: 3/,
    /antialias: \?\?\? {2}# true/,
  )
})

test('the filled-in template is a spec; left as it is, it is still a question', async () => {
  const { onnx, reference, preprocess: path, out } = await onDisk()
  const template = await packageOnnx({ onnx, reference }, quietIo()).catch(
    (error) => error.message.split('\n\n')[1],
  )
  await writeFile(path, template)
  await refused(
    packageOnnx({ onnx, reference, preprocess: path, out }, quietIo()),
    /leaves open 14 things/,
    /window/,
  )
  const answers: Record<string, string> = {
    labels: '[nodule, effusion]',
    exclusive: 'false',
    activation: 'sigmoid',
    fit: 'squash',
    pad_value: '0',
    resample: 'bilinear',
    antialias: 'true',
    window: 'null',
    exif_orientation: 'true',
    flip: '[]',
    channel_order: 'rgb',
    stain: 'null',
    range: '[0, 1]',
    mean: `[${MEAN}]`,
    std: `[${STD}]`,
  }
  const filled = template.replace(/(\w+): \?\?\?/g, (_: string, key: string) => `${key}: ${answers[key]}`)
  await writeFile(path, filled)
  const { certificate } = await packageOnnx({ onnx, reference, preprocess: path, out }, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
})

test('without reference scores there is no certificate, and so no package', async () => {
  const { onnx, preprocess: spec } = await onDisk()
  await refused(packageOnnx({ onnx, preprocess: spec }, quietIo()), /--reference cases\.csv/)
})

test('thresholds are chosen on reference cases with truth', async () => {
  const files = await onDisk({ truth: true, spec: { ...SPEC, operating_point: { maximize: 'youden' } } })
  const { package_dir, certificate } = await packageOnnx(files, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
  const model = ModelPackage.parse(JSON.parse(await readFile(join(package_dir, 'model.json'), 'utf8')))
  assert.equal(model.operating_points.nodule!.chosen_on, 'the reference cases')
  const card = await readFile(join(package_dir, 'MODEL_CARD.md'), 'utf8')
  assert.match(card, /trained elsewhere/)
  assert.match(card, /To be completed/)
  assert.match(card, /optimistic/)
})

test('thresholds that a model is used with are carried, with truth and without', async () => {
  for (const truth of [true, false]) {
    const files = await onDisk({ truth, spec: { ...SPEC, thresholds: { nodule: 0.31 } } })
    const { package_dir, certificate } = await packageOnnx(files, quietIo())
    assert.deepEqual(failing(certificate.checks), [])
    const model = ModelPackage.parse(JSON.parse(await readFile(join(package_dir, 'model.json'), 'utf8')))
    assert.deepEqual(Object.keys(model.operating_points), ['nodule'])
    const { threshold, rule } = model.operating_points.nodule!
    assert.deepEqual([threshold, rule], [0.31, null])
    const card = await readFile(join(package_dir, 'MODEL_CARD.md'), 'utf8')
    assert.equal(/given with the model, not chosen on these cases/.test(card), truth)
    assert.doesNotMatch(card, /also chose|optimistic/)
  }
  const both = await onDisk({ spec: { ...SPEC, thresholds: { mass: 0.5 }, operating_point: {} } })
  await refused(packageOnnx(both, quietIo()), /say one of them/, /thresholds\.mass is none of the labels/)
})

test('a rule without truth to choose on is refused', async () => {
  const files = await onDisk({ spec: { ...SPEC, operating_point: {} } })
  await refused(packageOnnx(files, quietIo()), /no truth_<label> column/)
})

test('rows of the reference table that cannot be used are all named', async () => {
  const files = await onDisk({
    rows: ([header, first, second, ...rest]) => [
      header!,
      ['absent.png', '0.1', '0.2'],
      [first![0]!, '1.5', '0.2'],
      [second![0]!, '', '0.2'],
      ...rest,
    ],
  })
  await refused(
    packageOnnx(files, quietIo()),
    /3 rows cannot be used/,
    /line 2: there is no file .*absent\.png/,
    /line 3: nodule is "1\.5"/,
    /line 4: nodule is ""/,
  )
  const renamed = await onDisk({
    rows: ([header, ...rest]) => [header!.map((h) => (h === 'nodule' ? 'nodul' : h)), ...rest],
  })
  await refused(packageOnnx(renamed, quietIo()), /nodule/, /nodul/)
})

test('reference images may be named by absolute paths', async () => {
  const files = await onDisk()
  const table = join(files.reference, '../elsewhere.csv')
  const [header, ...rows] = (await readFile(files.reference, 'utf8')).split('\n')
  await writeFile(table, [header, ...rows.map((row) => join(files.reference, '..', row))].join('\n'))
  const cases = await readReferenceCases(table, LABELS)
  assert.equal(cases.length, rows.length)
})

test('weights beside the graph come along; when they are missing the file is named', async () => {
  const external = { ...GRAPH, external: 'weights.bin' }
  const onnx = tinyOnnx(external)
  await refused(packageOnnx(await onDisk({ onnx }), quietIo()), /weights\.bin is missing/)
  const cut = { 'weights.bin': externalWeight(GRAPH).subarray(0, 100) }
  await refused(packageOnnx(await onDisk({ onnx, files: cut }), quietIo()), /m\.onnx cannot be loaded/)
  const files = await onDisk({ onnx, files: { 'weights.bin': externalWeight(GRAPH) } })
  const { package_dir, certificate } = await packageOnnx(files, quietIo())
  assert.deepEqual(failing(certificate.checks), [])
  await writeFile(join(package_dir, 'weights.bin'), externalWeight(GRAPH).fill(0, 0, 8))
  await refused(loadPackage(package_dir), /weights\.bin is corrupt/)
  const outside = await onDisk({ onnx: tinyOnnx({ ...GRAPH, external: '../weights.bin' }) })
  await refused(packageOnnx(outside, quietIo()), /outside its folder/)
})

test('a graph that cannot be packaged is named with what it has', async () => {
  const cases: [Partial<TinyModel>, RegExp][] = [
    [{ batch: 1 }, /batch is fixed at 1/],
    [{ declared: ['b', 24, 20, 3] }, /its channels come last/],
    [{ shape: [5, 24, 20], weight: tinyWeights([5, 24, 20], 2) }, /5 channels/],
    [{ declared: ['b', 1440] }, /\[batch, channels, rows, columns\] is expected/],
    [{ dtype: 'uint8' }, /the graph reads uint8 and normalises inside/],
  ]
  for (const [change, pattern] of cases) {
    const files = await onDisk({ onnx: tinyOnnx({ ...GRAPH, ...change }) })
    await refused(packageOnnx(files, quietIo()), pattern, /m\.onnx|spec\.yaml/)
  }
  for (const onnx of [Buffer.from('not onnx at all'), new Uint8Array(0), tinyOnnx(GRAPH).subarray(0, 900)])
    await refused(packageOnnx(await onDisk({ onnx }), quietIo()), /m\.onnx/)
  const size = await onDisk({ spec: changed({ size: [20, 24] }) })
  await refused(packageOnnx(size, quietIo()), /size is \[20, 24\]; the graph reads \[24, 20\]/)
})

test('a spec with unknown keys or wrong values lists every mistake', async () => {
  const files = await onDisk({ spec: changed({ resample: 'lanczos', antialais: true }) })
  await refused(packageOnnx(files, quietIo()), /antialais: unknown key; did you mean "antialias"/, /resample/)
})

test('a folder that holds something else is left alone; an older draft is replaced', async () => {
  const files = await onDisk()
  await mkdir(files.out)
  await writeFile(join(files.out, 'thesis.txt'), 'x')
  await refused(packageOnnx(files, quietIo()), /holds no model package/)
  await rm(files.out, { recursive: true })
  await packageOnnx(files, quietIo())
  await packageOnnx(files, quietIo())
  const path = join(files.out, 'model.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace('"draft"', '"approved"'))
  await refused(packageOnnx(files, quietIo()), /is approved; it is kept/)
})

test('the example of the guide is a whole spec', async () => {
  const guide = await readFile(join(PROJECT_ROOT, 'docs/guides/models_of_other_tools.md'), 'utf8')
  const [, example] = /```yaml\n([\s\S]*?)```/.exec(guide)!
  const graph = { name: 'x', dtype: 'float32', channels: 3, size: [224, 224] } as const
  const spec = parseOnnxSpec(parseYaml(example!), { ...graph, size: [...graph.size] }, 'the guide')
  assert.deepEqual(spec.thresholds, { pneumonia: 0.42 })
})
