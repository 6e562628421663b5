import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { readPredictionTables } from './prediction_tables.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-tables-'))
})
after(() => rm(dir, { recursive: true }))

async function read(predictions: string, labels: string) {
  const [p, l] = [join(dir, 'p.csv'), join(dir, 'l.csv')]
  await writeFile(p, predictions)
  await writeFile(l, labels)
  return readPredictionTables(p, l)
}

const P = 'case_id,nodule\na,0.9\nb,0.2\nc,0.4\n'
const L = 'case_id,patient_id,nodule\na,p1,1\nb,p1,0\nc,p2,\n'

async function mistake(predictions: string, labels: string): Promise<string> {
  const error = await read(predictions, labels).then(
    () => assert.fail('the tables were accepted'),
    (e: unknown) => e,
  )
  assert.ok(error instanceof UserError, String(error))
  return error.message
}

test('cases are joined by id, an empty label is unknown, other columns are attributes', async () => {
  const { predictions, labels, attributes, hasPatients, warnings } = await read(
    P,
    'sex,case_id,patient_id,nodule\nF,c,p2,\nM,a,p1,1.0\n,b,p1,0\n',
  )
  assert.deepEqual([labels, attributes, hasPatients, warnings], [['nodule'], ['sex'], true, []])
  assert.deepEqual(predictions, [
    {
      case_id: 'a',
      patient_id: 'p1',
      labels: { nodule: 1 },
      logits: {},
      scores: { nodule: 0.9 },
      attributes: { sex: 'M' },
    },
    {
      case_id: 'b',
      patient_id: 'p1',
      labels: { nodule: 0 },
      logits: {},
      scores: { nodule: 0.2 },
      attributes: { sex: null },
    },
    {
      case_id: 'c',
      patient_id: 'p2',
      labels: { nodule: null },
      logits: {},
      scores: { nodule: 0.4 },
      attributes: { sex: 'F' },
    },
  ])
})

test('byte-order marks, CRLF, semicolons and quotes change nothing', async () => {
  const plain = (await read(P, L)).predictions
  const quoted = P.replaceAll('a,', '"a",')
  const excel = `\ufeff${quoted.replaceAll('\n', '\r\n')}`
  assert.deepEqual(
    (await read(excel, `\ufeff${L.replaceAll(',', ';').replaceAll('\n', '\r\n')}`)).predictions,
    plain,
  )
})

test('without patient ids each case is its own patient, and a warning says what that means', async () => {
  const { predictions, hasPatients, warnings } = await read(P, 'case_id,nodule\na,1\nb,0\nc,1\n')
  assert.deepEqual([hasPatients, predictions[0]!.patient_id], [false, 'a'])
  assert.match(warnings[0]!, /no patient_id.*own patient.*too narrow/)
})

test('what "fiducial predict" writes beside the scores is no label', async () => {
  const { labels, warnings } = await read(
    'case_id,nodule,decision: nodule,file,input_sha256,warnings\na,0.9,1,a.png,00,\nb,0.2,0,b.png,00,\nc,0.4,0,c.png,00,\n',
    L,
  )
  assert.deepEqual([labels, warnings], [['nodule'], []])
})

test('cases in one table only are named, with what to do', async () => {
  const message = await mistake('case_id,nodule\na,0.9\nx,0.3\n', L)
  assert.match(message, /p\.csv lacks 2 cases of l\.csv: b, c\. A metric over the rest would flatter/)
  assert.match(message, /l\.csv lacks 1 case of p\.csv: x\. Add their labels/)
})

test('tables that share no case get one message with an id of each', async () => {
  const message = await mistake('case_id,nodule\na.png,0.9\nb.png,0.2\n', L)
  assert.match(message, /No case_id of p\.csv is in l\.csv: a\.png there, a here.*extension/)
})

test('a case given twice, or without an id, is named with its line', async () => {
  const message = await mistake(`${P}b,0.3\n,0.5\n`, L)
  assert.match(message, /p\.csv: 1 case given twice: b \(line 5\)/)
  assert.match(message, /p\.csv: no case_id on 1 line: 6/)
})

test('scores that are no number, empty, or with a decimal comma are named', async () => {
  const message = await mistake('case_id;nodule\na;nan\nb;\nc;0,4\n', L)
  assert.match(
    message,
    /p\.csv: 2 scores that are not numbers: every case needs one\. At a \(nodule\): nan, b \(nodule\): \(empty\)\./,
  )
  assert.match(message, /1 scores with a decimal comma.*c \(nodule\): 0,4/)
})

test('scores outside 0..1 are told to be logits', async () => {
  const message = await mistake('case_id,nodule\na,3.2\nb,-1.5\nc,0.4\n', L)
  assert.match(
    message,
    /2 scores outside 0\.\.1: if these are logits, apply sigmoid.*a \(nodule\): 3\.2, b \(nodule\): -1\.5/,
  )
})

test('labels that are neither 0 nor 1 are named; -1 is not taken for unknown', async () => {
  const message = await mistake(P, 'case_id,nodule\na,-1\nb,yes\nc,2\n')
  assert.match(
    message,
    /l\.csv: 3 labels that are neither 0 nor 1: leave the cell empty where unknown\. At a \(nodule\): -1, b \(nodule\): yes/,
  )
})

test('all kinds of mistakes come at once', async () => {
  const message = await mistake(
    'case_id,nodule\na,7\nb,x\nz,0.1\n',
    'case_id,patient_id,nodule\na,,5\nb,p,0\nc,p,1\n',
  )
  assert.match(message, /^6 mistakes in the tables:/)
  assert.match(message, /1 case without patient_id: a/)
})

test('a missing case_id column or no shared label shows the columns found', async () => {
  assert.match(
    await mistake('id,nodule\na,1\n', L),
    /p\.csv has no column "case_id"[\s\S]*columns found: id, nodule/,
  )
  assert.match(
    await mistake('case_id,mass\na,0.5\n', L),
    /do not have the same names[\s\S]*p\.csv: case_id, mass[\s\S]*l\.csv: case_id, patient_id, nodule/,
  )
  assert.match(await mistake('case_id,nodule,nodule\na,0.5,0.5\n', L), /2 columns named "nodule"/)
})

test('a name spelt differently in the two tables is an error, not a label left out', async () => {
  const message = await mistake('case_id,nodule,Effusion\na,0.9,0.1\n', 'case_id,nodule,effusion\na,1,0\n')
  assert.match(message, /"Effusion" and "effusion"/)
})

test('columns that only one table has are said to be left out', async () => {
  const { labels, warnings } = await read(
    'case_id,nodule,hernia\na,0.9,0.1\nb,0.2,0.1\nc,0.4,0.1\n',
    'case_id,patient_id,nodule,oedema\na,p1,1,0\nb,p1,0,1\nc,p2,1,0\n',
  )
  assert.deepEqual(labels, ['nodule'])
  assert.match(warnings.join('\n'), /p\.csv: not evaluated, l\.csv has no such column: hernia\./)
  assert.match(warnings.join('\n'), /l\.csv: not evaluated, p\.csv has no such column: oedema\./)
})

test('a table with a header alone, and a file that is not there, are mistakes', async () => {
  assert.match(await mistake('case_id,nodule\n', L), /p\.csv has a header but no rows/)
  await assert.rejects(
    readPredictionTables(join(dir, 'absent.csv'), join(dir, 'l.csv')),
    /No such file[\s\S]*absent\.csv/,
  )
})

test('ids that lack one folder of the truth are joined with it and said; where ids fit two folders nothing is guessed', async () => {
  const { predictions, warnings } = await read(
    'case_id,nodule\na,0.9\nb,0.2\n',
    'case_id,patient_id,nodule\ntest/a,p1,1\ntest/b,p2,0\n',
  )
  assert.deepEqual(
    predictions.map(({ case_id }) => case_id),
    ['test/a', 'test/b'],
  )
  assert.match(warnings.join(), /lack the folder "test\/"/)
  const two = 'case_id,patient_id,nodule\ntest/a,p1,1\ntrain/a,p2,0\n'
  assert.match(await mistake('case_id,nodule\na,0.9\n', two), /No case_id of p\.csv is in l\.csv/)
})
