import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { madePredictions } from '../../evaluate/predictions_fixture.ts'
import { writeNifti } from '../../imaging/nifti/write.ts'
import { Evaluation } from '../../schema/evaluation.ts'
import { SegmentEvaluation } from '../../schema/evaluation_segment.ts'

const program = fileURLToPath(new URL('../../../fiducial', import.meta.url))
let dir: string
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fiducial-evaluate-cli-'))
})
after(() => rmSync(dir, { recursive: true }))

function fiducial(...args: string[]) {
  const env = { ...process.env, FIDUCIAL_PYTHON: '/no/python/here' }
  const { status, stdout, stderr } = spawnSync(program, ['evaluate', ...args], {
    cwd: dir,
    env,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** p.csv and l.csv of made-up predictions. */
function writeTables(cases: number) {
  const predictions = madePredictions({ cases, patients: Math.ceil(cases / 3), labels: ['nodule'], seed: 1 })
  const scores = predictions.map((p) => `${p.case_id},${p.scores.nodule}`)
  const truth = predictions.map((p) => `${p.case_id},${p.patient_id},${p.labels.nodule},${p.attributes.sex}`)
  writeFileSync(join(dir, 'p.csv'), `case_id,nodule\n${scores.join('\n')}\n`)
  writeFileSync(join(dir, 'l.csv'), `case_id,patient_id,nodule,sex\n${truth.join('\n')}\n`)
}

test('10,000 predictions of another tool are evaluated without Python, as one JSON object', () => {
  writeTables(10_000)
  const { status, stdout, stderr } = fiducial('--predictions', 'p.csv', '--labels', 'l.csv', '--json')
  assert.equal(status, 0, stderr)
  const evaluation = Evaluation.parse(JSON.parse(stdout))
  assert.deepEqual(
    [evaluation.cases, evaluation.split, evaluation.bootstrap.resamples],
    [10_000, 'all', 2000],
  )
  assert.match(stderr, /Attributes found: sex/)
})

test('for a person the result is a table with intervals and warnings', () => {
  writeTables(200)
  const { stdout } = fiducial(
    '--predictions',
    'p.csv',
    '--labels',
    'l.csv',
    '--subgroups',
    'sex',
    '--out',
    'report',
  )
  assert.match(stdout, /^nodule +\d+\/\d+ +0\.\d{3} \(0\.\d{3}–0\.\d{3}\)/m)
  assert.match(stdout, /^sex: F +\d+ +\d+ /m)
  assert.match(stdout, /^! The operating point was chosen on these same predictions/m)
})

test('mistakes in the tables exit 2 with one message and no stack trace', () => {
  writeFileSync(join(dir, 'p.csv'), 'case_id,nodule\na,NaN\nb,4.2\nb,0.1\n')
  writeFileSync(join(dir, 'l.csv'), 'case_id,nodule\na,1\nb,maybe\nc,0\n')
  const { status, stdout, stderr } = fiducial('--predictions', 'p.csv', '--labels', 'l.csv', '--json')
  assert.equal(status, 2)
  assert.equal((JSON.parse(stdout) as { exit_code: number }).exit_code, 2)
  for (const words of [
    '5 mistakes',
    'b (line 4)',
    'a (nodule): NaN',
    'b (nodule): 4.2',
    'maybe',
    'c. A metric',
  ])
    assert.ok(stderr.includes(words), `${words} in ${stderr}`)
  assert.doesNotMatch(stderr, /\n\s+at /)
})

test('targets that do not go together say what to name', () => {
  mkdirSync(join(dir, 'package'))
  writeFileSync(join(dir, 'package/model.json'), '{}')
  const cases: [string[], RegExp][] = [
    [[], /Name a run or a package/],
    [['--predictions', 'p.csv'], /go together/],
    [['run', '--predictions', 'p.csv', '--labels', 'l.csv'], /by themselves/],
    [['package'], /--data other\.yaml --split all/],
    [['run', '--data', 'other.yaml'], /run is not a package/],
    [['run', '--exclusive'], /go with --predictions/],
    [['run', '--allow-failed'], /--allow-failed goes with a package/],
    [['--predictions', 'p.csv', '--labels', 'l.csv', '--allow-failed'], /--allow-failed goes with a package/],
    [['absent'], /There is no run absent/],
  ]
  for (const [args, message] of cases) {
    const { status, stderr } = fiducial(...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(stderr, message)
  }
})

/** Two folders with a mask of liver (1) and tumour (2) each; the tumour is missed in the second case. */
async function writeMasks() {
  const affine = [0, 0, 0.8, 0, 0, 0.7, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1]
  const mask = (tumour: 0 | 1 | 2) => {
    const data = Uint8Array.from({ length: 4 * 5 * 6 }, (_, i) =>
      i % 6 === 2 ? 1 : i % 6 === 4 ? tumour : 0,
    )
    return writeNifti({ data, channels: 1, shape: [4, 5, 6], affine }, { gzip: true })
  }
  for (const [folder, tumours] of [
    ['predicted', [2, 0]],
    ['labelsTs', [2, 2]],
  ] as const) {
    mkdirSync(join(dir, folder), { recursive: true })
    for (const [i, tumour] of tumours.entries())
      writeFileSync(join(dir, folder, `case${i}.nii.gz`), await mask(tumour))
  }
}
const MASKS = ['--predictions', 'predicted', '--labels', 'labelsTs']

test('two folders of masks are evaluated without Python; for a person, a row a label', async () => {
  await writeMasks()
  const { status, stdout, stderr } = fiducial(...MASKS, '--names', 'liver=1,whole=1+2,tumour=2', '--json')
  assert.equal(status, 0, stderr)
  const evaluation = SegmentEvaluation.parse(JSON.parse(stdout))
  assert.deepEqual(evaluation.task.labels, { liver: [1], whole: [1, 2], tumour: [2] })
  assert.deepEqual([evaluation.split, evaluation.per_label.tumour!.missed], ['all', 1])
  assert.equal(evaluation.metrics.dice_mean!.value, (1 + (1 + 2 / 3) / 2 + 0.5) / 3)
  const table = fiducial(...MASKS, '--names', 'liver=1,tumour=2', '--quiet')
  assert.match(table.stdout, /^tumour +2 +1 +0 +0 +0\.500 /m)
  assert.equal(table.stderr, '')
  const planned = fiducial(...MASKS, '--dry-run', '--out', 'report')
  assert.match(planned.stdout, /evaluate 2 pairs of masks/)
})

test('masks are refused with what does not go with them, each with what to do', async () => {
  await writeMasks()
  const cases: [string[], RegExp][] = [
    [['--predictions', 'predicted', '--labels', 'l.csv'], /predicted is a folder, l\.csv is not/],
    [[...MASKS, '--exclusive'], /go with tables of scores/],
    [['run', ...MASKS], /by themselves/],
    [[...MASKS, '--names', 'liver'], /not a name and its values/],
    [[...MASKS, '--names', 'liver=0'], /0 is background/],
    [[...MASKS, '--names', 'liver=1,liver=2'], /"liver" stands twice/],
    [['run', '--names', 'liver=1'], /go with two folders of masks/],
    [[...MASKS, '--subgroups', 'sex'], /--cases cases\.csv/],
  ]
  for (const [args, message] of cases) {
    const { status, stderr } = fiducial(...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(stderr, message)
  }
})
