import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { type SegmentTask, Task } from '../schema/task.ts'
import { assertMeaning, regionsOfBrats } from './mask_meaning.ts'

const task = (what: object) => Task.parse({ kind: 'segment', ...what }) as SegmentTask
const hippocampus = new Map([
  [0, 'background'],
  [1, 'Anterior'],
  [2, 'Posterior'],
])
/** As the Decathlon codes it; BraTS itself has necrosis first and no 3. */
const decathlon = new Map([
  [0, 'background'],
  [1, 'edema'],
  [2, 'non-enhancing tumor'],
  [3, 'enhancing tumour'],
])
const brats2021 = new Map([
  [0, 'background'],
  [1, 'necrotic tumor core'],
  [2, 'peritumoral oedema'],
  [4, 'GD-enhancing tumor'],
])

const refused = (what: object, values: ReadonlyMap<number, string>, ...messages: RegExp[]) =>
  assert.throws(
    () => assertMeaning(task(what), values),
    (error: Error) => {
      assert.ok(error instanceof UserError)
      for (const message of messages) assert.match(error.message, message)
      return true
    },
  )

test('labels named and numbered as in dataset.json pass, in any spelling of case, dash and blank', () => {
  assertMeaning(task({ labels: { Anterior: 1, posterior: 2 } }), hippocampus)
  assertMeaning(task({ labels: { 'Non Enhancing_Tumor': 2 } }), decathlon)
  assertMeaning(task({ labels: { Posterior: 2 } }), hippocampus)
})

test('values that are swapped are named with the value that each should have, all at once', () => {
  refused(
    { labels: { Anterior: 2, Posterior: 1 } },
    hippocampus,
    /task\.labels\.Anterior is 2; dataset\.json calls 1 so, and 2 is "Posterior"/,
    /task\.labels\.Posterior is 1; dataset\.json calls 2 so/,
    /do: dataset\.json has \{ Anterior: 1, Posterior: 2 \}/,
  )
})

test('a value that the data set has not is named with the one it has', () => {
  refused({ labels: { Anterior: 9 } }, hippocampus, /Anterior is 9; dataset\.json calls 1 so\.\n/)
})

test('a label that the data set has not is named, with the nearest and with what its value means there', () => {
  refused(
    { labels: { Anteriour: 1 } },
    hippocampus,
    /task\.labels\.Anteriour: dataset\.json has no such label; did you mean "Anterior"\? Its 1 is "Anterior"/,
  )
  refused({ labels: { Cerebellum: 7 } }, hippocampus, /Cerebellum: dataset\.json has no such label$/m)
})

test('regions of values that are not there, or named twice, are refused', () => {
  refused({ regions: { WT: [1, 2, 3, 4] } }, decathlon, /task\.regions\.WT: dataset\.json has no label 4/)
  refused({ regions: { both: [1, 1] } }, hippocampus, /task\.regions\.both names 1 twice/)
})

test('the regions of BraTS must hold what their names say, whatever the release numbers it', () => {
  assertMeaning(task({ regions: { WT: [1, 2, 3], TC: [2, 3], ET: [3] } }), decathlon)
  assertMeaning(task({ regions: { WT: [1, 2, 4], TC: [1, 4], ET: [4] } }), brats2021)
  refused(
    { regions: { ET: [2] } },
    decathlon,
    /ET is the enhancing tumour, but 2 is "non-enhancing tumor"/,
    /ET is the enhancing tumour; 3 \("enhancing tumour"\) belongs to it/,
  )
  refused({ regions: { TC: [1, 2, 3] } }, decathlon, /TC is the tumour core, but 1 is "edema"/)
  refused({ regions: { 'whole tumour': [1, 2] } }, decathlon, /3 \("enhancing tumour"\) belongs to it/)
  // The codes of one release with the meanings of the other.
  refused({ regions: { TC: [1, 3] } }, decathlon, /but 1 is "edema"/, /2 \("non-enhancing tumor"\) belongs/)
})

test('regions of any other name may hold whatever the data set has', () => {
  assertMeaning(task({ regions: { hippocampus: [1, 2], head: [1] } }), hippocampus)
})

test('the regions of BraTS are drawn up from the names, and from nothing else', () => {
  assert.deepEqual(regionsOfBrats(decathlon), { WT: [1, 2, 3], TC: [2, 3], ET: [3] })
  assert.deepEqual(regionsOfBrats(brats2021), { WT: [1, 2, 4], TC: [1, 4], ET: [4] })
  assert.equal(regionsOfBrats(hippocampus), null)
})
