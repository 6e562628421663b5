import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { seededNumbers } from '../evaluate/predictions_fixture.ts'
import { writeTinyPackage } from '../package/testing/tiny_package.ts'
import { type PreparedSet, prepareShards } from '../prepare/run.ts'
import { readLines } from '../prepare/staging.ts'
import { writeRun } from '../runs/create.ts'
import { resolveRunConfig } from '../runs/resolve.ts'
import { UserError } from '../schema/errors.ts'
import { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import { PART_CODES, TableCase } from '../schema/shard_set.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import { evaluateScores as evaluate, planEvaluation } from './evaluate.ts'
import { quietIo } from './io.ts'
import { type LoadedRecipe, loadRecipe } from './load_recipe.ts'
import { staleTest } from './test_state.ts'

// One phantom, prepared for real; the runs below differ in their predictions. The engine's predict entry is stood in
// for by a program that writes predictions made here: what matters is what the verb does with them.
let dir: string
let recipe: LoadedRecipe
let prepared: PreparedSet
const LABELS = ['nodule', 'effusion']
const io = quietIo()
const RECIPE = `
name: phantom
data:
  root: images
  source: { kind: phantom, patients: 40, images_per_patient: [1, 2], size: 32 }
  split: { val: 0.35, test: 0.3 }
prepare: { size: [20, 24] }
task: { kind: classify, labels: [LABELS] }
model: { kind: mlp, hidden: [8] }
evaluate: { bootstrap: 200, subgroups: [view] }
`

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-evaluate-'))
  const { PHANTOM_LABELS } = await import('../sources/phantom_plan.ts')
  LABELS.splice(0, 2, ...PHANTOM_LABELS)
  const path = join(dir, 'recipe.yaml')
  await writeFile(path, RECIPE.replace('LABELS', LABELS.join(', ')))
  recipe = await loadRecipe(path)
  prepared = await prepareShards(recipe.recipe, {
    root: recipe.root,
    out: join(dir, 'set'),
    workers: 1,
    log: () => {},
    signal: io.signal,
  })
})
after(() => rm(dir, { recursive: true }))
afterEach(() => {
  delete process.env.FIDUCIAL_PYTHON
})

/** Predictions of a part with scores that follow the truth, some way. */
async function predictionsOf(part: keyof typeof PART_CODES, seed: number): Promise<Prediction[]> {
  const { labels_id, split_id } = prepared.split
  const tables = join(prepared.dir, 'tables')
  const cases = (await readLines(join(tables, `labels-${labels_id.slice(0, 12)}`, 'cases.jsonl'), TableCase))!
  const parts = await readSafetensors(join(tables, `split-${split_id.slice(0, 12)}`, 'split.safetensors'))
  const random = seededNumbers(seed)
  return cases
    .filter((_, i) => parts.part!.data[i] === PART_CODES[part])
    .map((one) => {
      const scores = Object.fromEntries(
        LABELS.map((label) => [label, 0.1 + 0.5 * random() + 0.3 * (one.labels[label] ?? 0)]),
      )
      return { ...one, logits: scores, scores }
    })
}

const asLines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')

async function makeRun(name: string): Promise<string> {
  const run = join(dir, name)
  const provenance = {
    fiducial_version: '0.1.0',
    commit: null,
    dirty: null,
    node_lock_sha256: null,
    python_lock_sha256: null,
    created: '2026-11-21T10:00:00.000Z',
  }
  const model = { family: 'mlp' as const, hidden: [8], dropout: 0, weights: 'none' }
  await writeRun(run, recipe.text, resolveRunConfig(recipe.recipe, recipe.hash, prepared, model, provenance))
  await mkdir(join(run, 'predictions'))
  await writeFile(join(run, 'predictions/val.jsonl'), asLines(await predictionsOf('val', 1)))
  return run
}

/** Stands in for the engine: copies prepared predictions to --out, and counts its starts. */
async function useEngine(predictions: readonly Prediction[]): Promise<{ starts(): Promise<string[]> }> {
  const source = join(dir, 'engine-predictions.jsonl')
  const log = join(dir, 'engine-starts.log')
  const program = join(dir, 'python')
  await writeFile(source, asLines(predictions))
  await writeFile(log, '')
  await writeFile(
    program,
    `#!/bin/sh\necho "$*" >> '${log}'\nwhile [ "$1" != --out ]; do shift; done\ncp '${source}' "$2"\necho '{"cases": 1}'\n`,
  )
  await chmod(program, 0o755)
  process.env.FIDUCIAL_PYTHON = program
  return { starts: async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean) }
}

const readEvaluation = async (path: string) => Evaluation.parse(JSON.parse(await readFile(path, 'utf8')))

test('a run is evaluated on validation without Python; evaluation.json and the report lie in it', async () => {
  process.env.FIDUCIAL_PYTHON = '/no/python/here'
  const run = await makeRun('val')
  const evaluation = await evaluate({ run }, { split: 'val' }, io)
  assert.deepEqual(await readEvaluation(join(run, 'evaluation.json')), evaluation)
  assert.deepEqual([evaluation.split, evaluation.source, evaluation.test_openings], ['val', 'val', 0])
  assert.equal(evaluation.cases, prepared.split.cases.val)
  assert.equal(evaluation.operating_points[LABELS[0]!]!.chosen_on, 'val')
  assert.ok(evaluation.subgroups.every(({ attribute }) => attribute === 'view'))
  const page = await readFile(join(run, 'report.html'), 'utf8')
  assert.ok(page.includes('Synthetic data'))
  assert.ok((page.match(/data:image\/png;base64,iVBOR/g) ?? []).length > 6)
  const times = await Promise.all(['evaluation.json', 'report.html'].map((name) => stat(join(run, name))))
  assert.ok(times[1]!.mtimeMs >= times[0]!.mtimeMs)
})

test('the test split is opened on purpose, with the thresholds of validation, and each opening is counted', async () => {
  const run = await makeRun('opened')
  const val = await evaluate({ run }, { split: 'val' }, io)
  const predictions = await predictionsOf('test', 2)
  const engine = await useEngine(predictions)
  const first = await evaluate({ run }, { split: 'test' }, io)
  assert.deepEqual([first.split, first.test_openings, first.cases], ['test', 1, predictions.length])
  assert.deepEqual(first.operating_points, val.operating_points)
  assert.ok(val.warnings.some((warning) => warning.includes('chosen on this split')))
  assert.ok(!first.warnings.some((warning) => warning.includes('chosen on this split')))
  const [label] = LABELS as [string]
  const { threshold } = val.operating_points[label]!
  const tp = predictions.filter((p) => p.labels[label] === 1 && p.scores[label]! >= threshold).length
  assert.equal(first.per_label[label]!.confusion!.tp, tp)
  assert.deepEqual(await engine.starts(), [
    `-m fiducial_engine.predict --run-dir ${run} --checkpoint best --part test --out ${join(run, 'predictions/test.jsonl')}`,
  ])
  const again = await evaluate({ run }, { split: 'test' }, io)
  assert.equal(again.test_openings, 2)
  assert.deepEqual(await readEvaluation(join(run, 'evaluation-test.json')), again)
  assert.ok((await readFile(join(run, 'report-test.html'), 'utf8')).includes('opened <b>2 times'))
  assert.equal((await readEvaluation(join(run, 'evaluation.json'))).test_openings, 2)
  const page = await readFile(join(run, 'report.html'), 'utf8')
  assert.match(page, /<a href="report-test\.html">/)
  assert.match(page, /the test split has been opened 2 times, last \d{4}-/)
  assert.doesNotMatch(page, /opens the test split/)
  assert.equal((await evaluate({ run }, { split: 'val' }, io)).test_openings, 2)
})

test('numbers on test that are of other thresholds than those of validation are said to be, and kept', async () => {
  const run = await makeRun('moved-threshold')
  await evaluate({ run }, { split: 'val' }, io)
  await useEngine(await predictionsOf('test', 2))
  await evaluate({ run }, { split: 'test' }, io)
  assert.equal(await staleTest(run), null)
  const before = await readFile(join(run, 'evaluation-test.json'), 'utf8')
  const set = ['evaluate.operating_point={maximize: specificity, subject_to: {sensitivity: 0.3}}']
  const { warnings } = await evaluate({ run }, { split: 'val', set }, io)
  assert.match(warnings[0]!, /numbers on the test split are of other thresholds \(.* then, .* now/)
  assert.equal(await staleTest(run), warnings[0])
  assert.equal(await readFile(join(run, 'evaluation-test.json'), 'utf8'), before)
  await evaluate({ run }, { split: 'test', set }, io)
  assert.equal(await staleTest(run), null)
  assert.doesNotMatch(await readFile(join(run, 'report.html'), 'utf8'), /of other thresholds/)
})

test('an opening counts even when the engine then fails: someone may have looked', async () => {
  const run = await makeRun('failing')
  process.env.FIDUCIAL_PYTHON = '/bin/false'
  await assert.rejects(evaluate({ run }, { split: 'test' }, io))
  assert.equal((await evaluate({ run }, { split: 'val' }, io)).test_openings, 1)
})

test('a dry run says what it would do, and opens nothing', async () => {
  const run = await makeRun('dry')
  const { would } = await planEvaluation({ run }, { split: 'test' })
  assert.match(would.join('\n'), /open the test split of dry, opened 0 times so far/)
  await assert.rejects(stat(join(run, 'test_openings.jsonl')), { code: 'ENOENT' })
})

test('without its shard set a run is still evaluated; its report has no images', async () => {
  const run = await makeRun('moved')
  const path = join(run, 'run.json')
  const config = await readFile(path, 'utf8')
  await writeFile(path, config.replace(JSON.stringify(prepared.dir), JSON.stringify(join(dir, 'gone'))))
  await evaluate({ run }, { split: 'val' }, io)
  assert.ok(!(await readFile(join(run, 'report.html'), 'utf8')).includes('data:image'))
})

test('a leaky split that training was allowed on is said in every report', async () => {
  const run = await makeRun('leaky')
  const path = join(prepared.dir, 'tables', `split-${prepared.split.split_id.slice(0, 12)}`, 'split.json')
  const before = await readFile(path, 'utf8')
  const leak = { kind: 'same_patient', case_ids: ['a', 'b'], splits: ['train', 'val'] }
  await writeFile(path, JSON.stringify({ ...JSON.parse(before), leaks: [leak] }))
  try {
    const { warnings } = await evaluate({ run }, { split: 'val' }, io)
    assert.match(warnings[0]!, /The split leaks: 1 patient in more than one part\..*allow_leaks/)
    assert.match(warnings[1]!, /checkpoint and the thresholds were chosen on this split.*--split test/)
  } finally {
    await writeFile(path, before)
  }
})

test('of a run only evaluate.* can be set, and is', async () => {
  const run = await makeRun('set')
  const set = [
    'evaluate.operating_point={maximize: specificity, subject_to: {sensitivity: 0.9}}',
    'evaluate.bootstrap=100',
  ]
  const evaluation = await evaluate({ run }, { split: 'val', set, subgroups: ['sex'] }, io)
  assert.equal(evaluation.bootstrap.resamples, 100)
  assert.deepEqual(evaluation.operating_points[LABELS[0]!]!.rule!.subject_to, { sensitivity: 0.9 })
  assert.ok(evaluation.subgroups.every(({ attribute }) => attribute === 'sex'))
  await assert.rejects(
    evaluate({ run }, { split: 'val', set: ['train.lr=1'] }, io),
    /only evaluate\.\* can be set/,
  )
})

test('a run that has not finished, an empty part, and --split all say what to do', async () => {
  const run = await makeRun('unfinished')
  await rm(join(run, 'predictions'), { recursive: true })
  await assert.rejects(
    evaluate({ run }, { split: 'val' }, io),
    /has no validation predictions.*resumes it|resumes/s,
  )
  await assert.rejects(evaluate({ run }, { split: 'all' }, io), /--data other\.yaml --split all/)
  await assert.rejects(evaluate({ run: dir }, { split: 'val' }, io), UserError)
})

test('a damaged prediction line names the file and line', async () => {
  const run = await makeRun('damaged')
  await writeFile(join(run, 'predictions/val.jsonl'), '{"case_id": 3}\n')
  await assert.rejects(
    evaluate({ run }, { split: 'val' }, io),
    /predictions are damaged: line 1[\s\S]*val\.jsonl[\s\S]*delete that file/,
  )
})

test('predictions whose bytes changed are named with expected and found sha256, and computed anew once deleted', async () => {
  const run = await makeRun('tampered')
  const path = join(run, 'predictions/val.jsonl')
  const text = await readFile(path, 'utf8')
  const sha256 = (bytes: string) => createHash('sha256').update(bytes).digest('hex')
  await writeFile(`${path}.sha256`, `${sha256(text)}  val.jsonl\n`)
  const { computed_from } = await evaluate({ run }, { split: 'val' }, io)
  assert.equal(computed_from?.predictions_sha256, sha256(text))
  const tampered = text.replace(/(?<="score.*?0\.)\d/, '9')
  await writeFile(path, tampered)
  await assert.rejects(evaluate({ run }, { split: 'test' }, io), (error: Error) => {
    assert.ok(error instanceof UserError)
    for (const part of [path, sha256(text), sha256(tampered), 'delete that file'])
      assert.ok(error.message.includes(part), part)
    return true
  })
  await rm(path)
  await rm(`${path}.sha256`)
  const end = { type: 'end', step: 1, status: 'finished', message: null, seconds: {}, time: 0 }
  await writeFile(join(run, 'events.jsonl'), `${JSON.stringify(end)}\n`)
  const engine = await useEngine(await predictionsOf('val', 1))
  await evaluate({ run }, { split: 'val' }, io)
  assert.match((await engine.starts()).join(), /--checkpoint best --part val/)
})

test('a package is evaluated on the raw files of a recipe, without Python, at its own thresholds', async () => {
  process.env.FIDUCIAL_PYTHON = '/no/python/here'
  const packageDir = join(dir, 'package')
  await writeTinyPackage(packageDir, { labels: [...LABELS, 'fracture'], thresholds: { [LABELS[0]!]: 0.4 } })
  const out = join(dir, 'external')
  const evaluation = await evaluate({ package: packageDir, data: recipe }, { split: 'all', out }, io)
  assert.deepEqual(evaluation.task.labels, LABELS)
  assert.equal(evaluation.cases, prepared.index.num_cases)
  assert.equal(evaluation.operating_points[LABELS[0]!]!.threshold, 0.4)
  assert.equal(evaluation.operating_points[LABELS[1]!], undefined)
  assert.match(evaluation.warnings.join('\n'), /no such label: fracture/)
  assert.deepEqual(await readEvaluation(join(out, 'evaluation.json')), evaluation)
  assert.ok((await readFile(join(out, 'report.html'), 'utf8')).includes('data:image/png'))
})

test('a package is not evaluated on a part drawn at random, nor on other labels', async () => {
  const packageDir = join(dir, 'other-package')
  await writeTinyPackage(packageDir, { labels: ['fracture'] })
  await assert.rejects(
    evaluate({ package: packageDir, data: recipe }, { split: 'all' }, io),
    /labels of the data do not fit the package[\s\S]*fracture/,
  )
  const fitting = join(dir, 'fitting-package')
  await writeTinyPackage(fitting, { labels: [...LABELS] })
  await assert.rejects(
    evaluate({ package: fitting, data: recipe }, { split: 'test' }, io),
    /drawn at random[\s\S]*--split all/,
  )
})

test('files that cannot be read are named and in no number', async () => {
  const root = join(dir, 'few')
  await mkdir(root)
  const images = join(recipe.root, 'images')
  const names = (await import('node:fs'))
    .readdirSync(images)
    .filter((name) => name.endsWith('.png'))
    .slice(0, 6)
  for (const name of names) await writeFile(join(root, name), await readFile(join(images, name)))
  await writeFile(join(root, names[5]!), 'not an image')
  await writeFile(
    join(root, 'table.csv'),
    `file,${LABELS[0]}\n${names.map((name, i) => `${name},${i % 2}`).join('\n')}\n`,
  )
  const path = join(dir, 'few.yaml')
  await writeFile(
    path,
    `name: few\ndata: { root: few, source: { kind: csv, file: table.csv, image: file, labels: { columns: { ${LABELS[0]}: ${LABELS[0]} } } } }\n` +
      `task: { kind: classify, labels: [${LABELS[0]}] }\nevaluate: { bootstrap: 100 }\n`,
  )
  const packageDir = join(dir, 'few-package')
  await writeTinyPackage(packageDir, { labels: [LABELS[0]!] })
  const evaluation = await evaluate(
    { package: packageDir, data: await loadRecipe(path) },
    { split: 'all' },
    io,
  )
  assert.equal(evaluation.cases, 5)
  assert.match(evaluation.warnings.join('\n'), /1 case could not be read and is in no number/)
})

test('given parts are evaluated as given, and only a part that must be drawn is refused', async () => {
  const images = (await readdir(join(recipe.root, 'images')))
    .filter((name) => name.endsWith('.png'))
    .slice(0, 8)
  const packageDir = join(dir, 'given-package')
  const [label] = LABELS
  await writeTinyPackage(packageDir, { labels: [label!] })
  const given = async (name: string, parts: readonly string[]) => {
    const rows = images.map((file, i) => `${file},${i % 2},${parts[i % parts.length]}`)
    await writeFile(join(recipe.root, 'images', `${name}.csv`), `file,${label},part\n${rows.join('\n')}\n`)
    await writeFile(
      join(dir, `${name}.yaml`),
      `name: ${name}\ndata:\n  root: ${join(recipe.root, 'images')}\n` +
        `  source: { kind: csv, file: ${name}.csv, image: file, labels: { columns: { ${label}: ${label} } } }\n` +
        `  split: { column: part, val: 0.2 }\ntask: { kind: classify, labels: [${label}] }\nevaluate: { bootstrap: 100 }\n`,
    )
    return loadRecipe(join(dir, `${name}.yaml`))
  }
  const whole = await given('whole', ['train', 'train', 'val', 'val', 'test', 'test'])
  assert.equal((await evaluate({ package: packageDir, data: whole }, { split: 'val' }, io)).cases, 2)
  const without = await given('without', ['train', 'train', 'test', 'test'])
  assert.equal((await evaluate({ package: packageDir, data: without }, { split: 'test' }, io)).cases, 4)
  await assert.rejects(
    evaluate({ package: packageDir, data: without }, { split: 'val' }, io),
    /drawn at random/,
  )
})

test('a package built on the data set at hand is told by the images in its certificate, wherever they lie', async () => {
  const packageDir = join(dir, 'own-package')
  const [name] = (await readdir(join(recipe.root, 'images'))).filter((file) => file.endsWith('.png'))
  const bytes = await readFile(join(recipe.root, 'images', name!))
  const seen = {
    file_sha256: createHash('sha256').update(bytes).digest('hex'),
    read: async () => [bytes],
    stored: null,
    reference: () => LABELS.map(() => 0.5),
    predicted: null,
  }
  await writeTinyPackage(packageDir, { labels: [...LABELS], validation: [seen] })
  const options = { split: 'all', allowFailed: true } as const
  const evaluation = await evaluate({ package: packageDir, data: recipe }, options, io)
  assert.match(evaluation.warnings.join('\n'), /built on images of this very data set/)
})

test("others' predictions need no run, package or Python; thresholds from the same cases are called optimistic", async () => {
  process.env.FIDUCIAL_PYTHON = '/no/python/here'
  const random = seededNumbers(5)
  const rows = Array.from({ length: 60 }, (_, i) => ({
    i,
    y: i % 3 === 0 ? 1 : 0,
    s: (random() + (i % 3 === 0 ? 0.5 : 0)) / 2,
  }))
  const predictions = join(dir, 'p.csv')
  const labels = join(dir, 'l.csv')
  await writeFile(predictions, `case_id,mass\n${rows.map(({ i, s }) => `c${i},${s}`).join('\n')}\n`)
  await writeFile(
    labels,
    `case_id,patient_id,mass,sex\n${rows.map(({ i, y }) => `c${i},p${i % 40},${y},${i % 2 ? 'F' : 'M'}`).join('\n')}\n`,
  )
  const out = join(dir, 'tables-out')
  const options = { split: 'all' as const, subgroups: ['sex'], set: ['evaluate.bootstrap=200'], out }
  const evaluation = await evaluate({ predictions, labels }, options, io)
  assert.deepEqual([evaluation.cases, evaluation.patients, evaluation.bootstrap.resamples], [60, 40, 200])
  assert.deepEqual(
    evaluation.subgroups.map(({ value }) => value),
    ['F', 'M'],
  )
  assert.equal(evaluation.operating_points.mass!.chosen_on, 'these predictions')
  assert.match(evaluation.warnings.join('\n'), /optimistic/)

  const fixed = await evaluate(
    { predictions, labels, operating_points: join(out, 'evaluation.json') },
    { split: 'all', set: ['evaluate.bootstrap=100'] },
    io,
  )
  assert.deepEqual(fixed.operating_points, evaluation.operating_points)
  assert.doesNotMatch(fixed.warnings.join('\n'), /optimistic/)
  await assert.rejects(
    evaluate({ predictions, labels }, { split: 'all', subgroups: ['site'] }, io),
    /no column "site"[\s\S]*attributes found: sex/,
  )
  await assert.rejects(
    evaluate({ predictions, labels }, { split: 'all', set: ['evaluate.bootstap=9'] }, io),
    /bootstap: unknown key; did you mean "bootstrap"/,
  )
})
