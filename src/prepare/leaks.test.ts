import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { SplitPart } from '../schema/case.ts'
import { DataConfig } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { readSource } from '../sources/read.ts'
import { describeLeaks, findLeaks, refuseLeaks, sameBytes } from './leaks.ts'

const cases = ['a', 'a', 'b', 'c', 'c', 'd'].map((patient_id, i) => ({ case_id: `c${i}`, patient_id }))
const parts: (SplitPart | null)[] = ['train', 'test', 'train', 'train', null, 'val']

test('a patient in two parts is named with every case and part', () => {
  assert.deepEqual(findLeaks(cases, parts), [
    { kind: 'same_patient', case_ids: ['c0', 'c1'], splits: ['train', 'test'] },
  ])
})

test('a case in no part leaks nothing', () => {
  assert.deepEqual(findLeaks(cases, parts.with(1, null)), [])
})

test('equal bytes in two parts are named, unless one patient explains them', () => {
  const same = sameBytes(['x', 'x', 'y', 'z', 'w', 'y'])
  assert.deepEqual(findLeaks(cases, parts, same), [
    { kind: 'same_patient', case_ids: ['c0', 'c1'], splits: ['train', 'test'] },
    { kind: 'same_bytes', case_ids: ['c2', 'c5'], splits: ['train', 'val'] },
  ])
})

test('unknown hashes are not equal to each other', () => {
  assert.deepEqual(sameBytes([null, null, 'a']), [])
})

const leaking = { kind: 'column' as const, leaks: findLeaks(cases, parts) }

test('training on a leaking split is refused with counts, cases and what to do; exit code 2', () => {
  assert.throws(
    () => refuseLeaks(leaking, { allow_leaks: false }),
    (error) =>
      error instanceof UserError &&
      error.exitCode === 2 &&
      /share 1 patient \(train and test 1\)/.test(error.message) &&
      error.message.includes('c0, c1') &&
      error.message.includes('allow_leaks'),
  )
})

test('data.allow_leaks and a clean split let training go on', () => {
  refuseLeaks(leaking, { allow_leaks: true })
  refuseLeaks({ kind: 'random', leaks: [] }, { allow_leaks: false })
})

const nih = fileURLToPath(new URL('../../../shared/data/chest-nih64', import.meta.url))
test('the source_split of chest-nih64 shares 15, 8 and 9 patients', {
  skip: existsSync(join(nih, 'labels.csv')) ? false : 'no ../shared/data',
}, async () => {
  const data = DataConfig.parse({
    root: nih,
    source: {
      kind: 'csv',
      file: 'labels.csv',
      image: 'file',
      patient: 'patient_id',
      labels: { column: 'label', negative: ['normal'] },
    },
    split: { column: 'source_split' },
  })
  const found = await readSource(data, Task.parse({ kind: 'classify', labels: ['abnormal'] }), nih)
  const leaks = findLeaks(
    found.cases,
    found.cases.map((one) => one.split ?? null),
  )
  assert.equal(leaks.length, 30)
  assert.equal(describeLeaks(leaks), 'train and val 15, train and test 8, val and test 9')
})
