import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { decodeRaster } from '#raster'
import type { Case } from '../schema/case.ts'
import { DataConfig, PhantomSource } from '../schema/data.ts'
import { StoppedError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { phantomOptimum, phantomOracle } from './phantom.ts'
import { cardiothoracicRatio, drawAnatomy, drawExposure, fluidHeight } from './phantom_anatomy.ts'
import { normalCdf, separation } from './phantom_optimum.ts'
import { planPhantom, severityScale } from './phantom_plan.ts'
import { renderPhantom } from './phantom_render.ts'
import { ensurePhantom, readManifest, renderCase } from './phantom_write.ts'
import { randomStream } from './random_stream.ts'
import { readSource } from './read.ts'

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-phantom-'))
})
after(() => rm(base, { recursive: true }))

const folder = () => join(base, String(serial++))
const SMALL = { kind: 'phantom', patients: 10, size: 32 }
const source = (values: object = {}) => PhantomSource.parse({ ...SMALL, ...values })

function read(root: string, values: object = {}, labels = ['Cardiomegaly', 'Effusion']) {
  const data = DataConfig.parse({ root, source: { ...SMALL, ...values }, split: { official: true } })
  return readSource(data, Task.parse({ kind: 'classify', labels }), root)
}

async function digest(root: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await readdir(root, { recursive: true })).sort())
    if (/\.\w+$/.test(file)) hash.update(file).update(await readFile(join(root, file)))
  return hash.digest('hex')
}

test('a phantom is generated where there is none and read as ChestX-ray14, called synthetic', async () => {
  const root = folder()
  const { cases, synthetic, warnings, has_given_split, skipped } = await read(root)
  assert.equal(synthetic, true)
  assert.equal(has_given_split, true)
  assert.deepEqual(skipped, [])
  assert.match(warnings[0]!, /is synthetic: a phantom that shows nobody/)
  assert.equal(new Set(cases.map((c) => c.patient_id)).size, 10)
  for (const { attributes, images } of cases) {
    assert.equal(attributes.synthetic, 'yes')
    assert(attributes.marker === 'L' || attributes.marker === 'R')
    const png = await readFile(join(root, images[0]!))
    assert(png.includes('SYNTHETIC phantom'), 'a note in the file')
    const { height, width, channels, data } = await decodeRaster(png)
    assert.deepEqual([height, width, channels, data.BYTES_PER_ELEMENT], [32, 32, 1, 1])
  }
})

test('the folder of a phantom is synthetic whichever reader is asked', async () => {
  const root = folder()
  await ensurePhantom(source(), root)
  const data = DataConfig.parse({ root, source: { kind: 'chestxray14' }, split: { official: true } })
  const { synthetic } = await readSource(data, Task.parse({ kind: 'classify', labels: ['Effusion'] }), root)
  assert.equal(synthetic, true)
})

test('the same parameters give the same bytes; another seed does not', async () => {
  const [a, b, c] = [folder(), folder(), folder()]
  await ensurePhantom(source(), a)
  await ensurePhantom(source(), b)
  await ensurePhantom(source({ seed: 1 }), c)
  assert.equal(await digest(a), await digest(b))
  assert.notEqual(await digest(a), await digest(c))
})

test('a phantom that is there is not made again; other parameters replace it', async () => {
  const root = folder()
  await read(root)
  const [first] = await readdir(join(root, 'images'))
  await writeFile(join(root, 'images', first!), 'touched')
  await read(root)
  assert.equal(await readFile(join(root, 'images', first!), 'utf8'), 'touched')
  const { cases } = await read(root, { patients: 5 })
  assert.equal(new Set(cases.map((c) => c.patient_id)).size, 5)
  assert.equal((await readdir(join(root, 'images'))).length, cases.length, 'nothing of the old one is left')
})

test('a generation that was stopped is done again', async () => {
  const root = folder()
  await ensurePhantom(source(), root)
  const whole = await digest(root)
  await unlink(join(root, 'phantom.json'))
  await unlink(join(root, 'images', '00000003_000.png'))
  await writeFile(join(root, 'phantom.unfinished.json'), '{}')
  await ensurePhantom(source(), root)
  assert.equal(await digest(root), whole)
})

test('an abort stops a generation at once, and what is there is then taken for nothing', async () => {
  const root = folder()
  const controller = new AbortController()
  const made = ensurePhantom(source({ patients: 4000, size: 64 }), root, controller.signal)
  setTimeout(() => controller.abort(), 50)
  await assert.rejects(made, (error) => error instanceof StoppedError && error.exitCode === 75)
  assert.equal(await readManifest(root), null)
  const names = await readdir(join(root, 'images'))
  assert.ok(names.length < 4000)
  assert.deepEqual(
    names.filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('two that generate the same phantom into one folder end with it whole', async () => {
  const [alone, together] = [folder(), folder()]
  await ensurePhantom(source(), alone)
  await Promise.all([ensurePhantom(source(), together), ensurePhantom(source(), together)])
  assert.equal(await digest(together), await digest(alone))
})

test('nothing is generated into a folder with anything else in it', async () => {
  const root = folder()
  await mkdir(root)
  await writeFile(join(root, 'thesis.tex'), 'x')
  await assert.rejects(read(root), { name: 'UserError', message: /not empty and holds no phantom/ })
  const other = folder()
  await ensurePhantom(source(), other)
  await writeFile(join(other, 'notes.txt'), 'x')
  await assert.rejects(read(other, { seed: 9 }), /holds more than a phantom \(notes\.txt\)/)
  assert((await readdir(other)).includes('phantom.json'), 'it is kept')
})

test('shared patients lie in both official parts, and no others do', () => {
  for (const shared_patients of [0, 3]) {
    const parts = new Map<string, Set<string>>()
    for (const { patient_id, part } of planPhantom(source({ patients: 40, shared_patients })))
      parts.set(patient_id, (parts.get(patient_id) ?? new Set()).add(part))
    assert.equal([...parts.values()].filter((p) => p.size === 2).length, shared_patients)
    assert.equal([...parts.values()].filter((p) => p.has('test')).length, 8 + shared_patients)
  }
})

test('images a patient stay within the range asked for', () => {
  const counts = new Map<string, number>()
  for (const { patient_id } of planPhantom(source({ patients: 200, images_per_patient: [2, 3] })))
    counts.set(patient_id, (counts.get(patient_id) ?? 0) + 1)
  assert.deepEqual([...new Set(counts.values())].sort(), [2, 3])
})

test('parameters that contradict each other are errors', () => {
  assert.throws(() => planPhantom(source({ images_per_patient: [3, 1] })), /write \[1, 3\]/)
  assert.throws(
    () => planPhantom(source({ images_per_patient: [1, 1], shared_patients: 1 })),
    /two images or more/,
  )
  assert.throws(
    () => planPhantom(source({ shared_patients: 9 })),
    /more than the 8 patients of the training part/,
  )
})

test('a finding that the phantom does not have is an error', async () => {
  await assert.rejects(read(folder(), {}, ['Nodule']), /its findings are Cardiomegaly, Effusion/)
})

test('prevalence is as asked, and findings persist in a patient', () => {
  const cases = planPhantom(source({ patients: 1500, prevalence: 0.3 }))
  const share = cases.filter((c) => c.labels.Effusion === 1).length / cases.length
  assert(Math.abs(share - 0.3) < 0.04, `${share}`)
  const pairs = cases.flatMap((c, i) =>
    cases[i + 1]?.patient_id === c.patient_id ? [[c.labels.Effusion, cases[i + 1]!.labels.Effusion]] : [],
  )
  const agreeing = pairs.filter(([a, b]) => a === b).length / pairs.length
  // Both lasting with 0.49; else alike by chance, 0.58.
  assert(Math.abs(agreeing - (0.49 + 0.51 * 0.58)) < 0.05, `${agreeing}`)
})

test('the manifest gives the optimum, and the oracle ranks by the truth', async () => {
  const root = folder()
  await ensurePhantom(source({ patients: 60 }), root)
  const { per_label, auroc_mean } = await phantomOptimum(root)
  const expected = normalCdf(separation(0.3) / Math.SQRT2)
  assert.deepEqual(per_label, { Cardiomegaly: expected, Effusion: expected })
  assert.equal(auroc_mean, expected)
  const oracle = await phantomOracle(root)
  const { cases } = await read(root, { patients: 60 })
  const mean = (value: 0 | 1) => {
    const of = cases.filter((c) => c.labels.Effusion === value).map((c) => oracle.get(c.case_id)!.Effusion!)
    return of.reduce((a, b) => a + b, 0) / of.length
  }
  // Log likelihood ratios of N(d, 1) against N(0, 1) have means of plus and minus d²/2.
  const half = separation(0.3) ** 2 / 2
  assert(Math.abs(mean(1) - half) < 1.2 && Math.abs(mean(0) + half) < 1.2)
})

test('no phantom, no optimum', async () => {
  await assert.rejects(phantomOptimum(base), /holds no finished phantom/)
})

/**
 * The optimum is that of an observer who is told the severity. One who knows the anatomy and sees the picture
 * measures it with a variance that the Cramér-Rao bound gives: the change of the noise-free picture with
 * severity, against the noise. What that costs must be small, or the optimum would be out of reach.
 */
for (const size of [64, 128])
  test(`noise at ${size} px costs an observer of the picture less than 0.003 of AUROC`, () => {
    const d = separation(0.3)
    const best = normalCdf(d / Math.SQRT2)
    const cases = planPhantom(source({ patients: 40, size })).slice(0, 12)
    for (const label of ['Cardiomegaly', 'Effusion'] as const) {
      const losses = cases.map((c) => {
        const noise = drawExposure(randomStream(0, 'exposure', c.case_id), c.view).noise
        const noiseFree = (change: number) => {
          const severity = { ...c.severity, [label]: c.severity[label] + change }
          const exposure = { ...drawExposure(randomStream(0, 'exposure', c.case_id), c.view), noise: 0 }
          return renderPhantom(
            {
              anatomy: drawAnatomy(randomStream(0, 'anatomy', c.patient_id), c.sex),
              exposure,
              cardiothoracic_ratio: cardiothoracicRatio(severity.Cardiomegaly),
              fluid_height: fluidHeight(severity.Effusion),
              marker: c.marker,
            },
            size,
            randomStream(0, 'texture', c.case_id),
          )
        }
        const step = 0.2
        const [less, more] = [noiseFree(-step), noiseFree(step)]
        let energy = 0
        for (let i = 0; i < more.length; i++) energy += ((more[i]! - less[i]!) / (2 * step)) ** 2
        const variance = (severityScale(d) ** 2 * noise ** 2) / energy
        return best - normalCdf(d / Math.sqrt(2 * (1 + variance)))
      })
      const mean = losses.reduce((a, b) => a + b, 0) / losses.length
      assert(mean < 0.003, `${label}: ${mean}`)
    }
  })

test('the anatomy belongs to the patient, exposure and noise to the picture', () => {
  const asked = source({ images_per_patient: [2, 2], size: 64 })
  const [a, b, other] = planPhantom(asked)
  const anatomyOf = (c: typeof a) => drawAnatomy(randomStream(0, 'anatomy', c!.patient_id), c!.sex)
  assert.deepEqual(anatomyOf(a), anatomyOf(b))
  assert.notDeepEqual(anatomyOf(a), anatomyOf(other))
  const [first, second] = [renderCase(asked, a!), renderCase(asked, b!)]
  const differing = first.filter((value, i) => value !== second[i]).length
  assert(differing > 0.5 * first.length, `${differing}`)
})

test('a thousand images of 128 px take a few seconds', async () => {
  const root = folder()
  const start = performance.now()
  const { cases } = await ensurePhantom(source({ patients: 40, size: 128 }), root)
  const perImage = (performance.now() - start) / cases.length
  // 7 ms on two quiet cores; the bound leaves room for a busy machine.
  assert(perImage < 60, `${perImage} ms an image`)
})

test('planned without a file, a phantom has the cases, patients, labels and parts that it is made with', async () => {
  const root = folder()
  const values = { ...SMALL, shared_patients: 2 }
  const data = DataConfig.parse({ root, source: values, split: { official: true } })
  const task = Task.parse({ kind: 'classify', labels: ['Effusion'] })
  const planned = await readSource(data, task, root, undefined, { mayGenerate: false })
  await assert.rejects(readdir(root))
  const made = await readSource(data, task, root)
  const withoutAttributes = ({ attributes: _, ...rest }: Case) => rest
  assert.deepEqual(planned.cases.map(withoutAttributes), made.cases.map(withoutAttributes))
  const { sex, age, view, marker } = made.cases[0]!.attributes
  assert.partialDeepStrictEqual(planned.cases[0]!.attributes, { sex, age, view, marker })
  assert.deepEqual(planned.warnings, made.warnings)
})
