import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { madePredictions } from '../../evaluate/predictions_fixture.ts'
import { Evaluation } from '../../schema/evaluation.ts'

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
