import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encapsulatedFrames } from './frames.ts'
import { parseDicom } from './parse.ts'
import { EXPLICIT, element, item, join, UNDEFINED_LENGTH, withMeta } from './testing/bytes.ts'

const JPEG_BASELINE = '1.2.840.10008.1.2.4.50'

const uint32s = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer)
const uint64s = (...values: number[]) => new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer)

/** The data set of encapsulated pixels with this offset table and these fragments. */
function encapsulated(table: number[], fragments: number[][], more: Uint8Array = new Uint8Array()) {
  const items = [uint32s(...table), ...fragments.map((bytes) => Uint8Array.from(bytes))]
  const value = join(
    ...items.map((bytes) => item(EXPLICIT, bytes)),
    item(EXPLICIT, new Uint8Array(), 0, 0xfffee0dd),
  )
  return parseDicom(
    withMeta(JPEG_BASELINE, join(more, element(EXPLICIT, 0x7fe00010, 'OB', value, UNDEFINED_LENGTH))),
  ).dataSet
}

const A = [0xff, 0xd8, 1, 2]
const B = [3, 4]
const C = [0xff, 0xd8, 5, 6]
const frames = (dataSet: ReturnType<typeof encapsulated>, numFrames: number) =>
  encapsulatedFrames(dataSet, numFrames).map((bytes) => [...bytes])

test('one frame is all fragments, whatever the offset table says', () => {
  assert.deepEqual(frames(encapsulated([], [A, B]), 1), [[...A, ...B]])
  assert.deepEqual(frames(encapsulated([0], [A, B]), 1), [[...A, ...B]])
})

test('frames begin where the basic offset table points', () => {
  assert.deepEqual(frames(encapsulated([0, 22], [A, B, C]), 2), [[...A, ...B], C])
  assert.deepEqual(frames(encapsulated([0, 12], [A, B, C]), 2), [A, [...B, ...C]])
})

test('the extended offset table goes first, and cuts off padding', () => {
  const tables = join(
    element(EXPLICIT, 0x7fe00001, 'OV', uint64s(0, 12)),
    element(EXPLICIT, 0x7fe00002, 'OV', uint64s(3, 2)),
  )
  assert.deepEqual(frames(encapsulated([], [A, B], tables), 2), [A.slice(0, 3), B])
})

test('without a table, fragments are frames if there are as many, else frames start as codestreams do', () => {
  assert.deepEqual(frames(encapsulated([], [A, B]), 2), [A, B])
  assert.deepEqual(frames(encapsulated([], [A, B, C]), 2), [[...A, ...B], C])
})

test('tables and fragments that do not make the frames are refused', () => {
  assert.throws(() => frames(encapsulated([0, 13], [A, B, C]), 2), /points frame 2 at no fragment/)
  assert.throws(() => frames(encapsulated([12, 0], [A, B, C]), 2), /points frame 1 at no fragment/)
  assert.throws(
    () => frames(encapsulated([0, 12, 22], [A, B, C]), 2),
    /says 2 frames, but the compressed pixels hold 3/,
  )
  assert.throws(
    () => frames(encapsulated([], [A, B, C]), 5),
    /says 5 frames, but the compressed pixels hold 2/,
  )
  assert.throws(() => frames(encapsulated([], []), 1), /hold no compressed frame/)
})
