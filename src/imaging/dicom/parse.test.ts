import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { ImageError } from '../image_error.ts'
import { parseDicom } from './parse.ts'
import { isDicom } from './signature.ts'
import {
  BIG,
  type Encoding,
  EXPLICIT,
  element,
  IMPLICIT,
  item,
  join,
  text,
  UNDEFINED_LENGTH,
  uint16,
  withMeta,
} from './testing/bytes.ts'

const ROWS = 0x00280010
const MODALITY = 0x00080060
const SEGMENTS = 0x00620002
const LABEL = 0x00620005

const header = (encoding: Encoding) =>
  join(element(encoding, MODALITY, 'CS', text('CT')), element(encoding, ROWS, 'US', uint16(encoding, 513)))

const ENCODINGS: [name: string, syntax: string, encoding: Encoding][] = [
  ['implicit little endian', '1.2.840.10008.1.2', IMPLICIT],
  ['explicit little endian', '1.2.840.10008.1.2.1', EXPLICIT],
  ['explicit big endian', '1.2.840.10008.1.2.2', BIG],
]

for (const [name, syntax, encoding] of ENCODINGS)
  test(`${name}: with preamble, without it, and without meta information`, () => {
    const whole = withMeta(syntax, header(encoding))
    for (const bytes of [whole, whole.slice(132), header(encoding)]) {
      assert.ok(isDicom(bytes))
      const { dataSet } = parseDicom(bytes)
      assert.equal(dataSet.string('Modality'), 'CT')
      assert.equal(dataSet.number('Rows'), 513)
    }
  })

test('a deflated data set, padded or followed by a checksum', () => {
  const deflated = new Uint8Array(deflateRawSync(header(EXPLICIT)))
  for (const tail of [[], [0], [1, 2, 3, 4, 5, 6, 7, 8]]) {
    const bytes = withMeta('1.2.840.10008.1.2.1.99', join(deflated, Uint8Array.from(tail)))
    assert.equal(parseDicom(bytes).dataSet.number('Rows'), 513)
  }
  const bomb = new Uint8Array(deflateRawSync(new Uint8Array(6e8)))
  assert.throws(() => parseDicom(withMeta('1.2.840.10008.1.2.1.99', bomb)), /grows beyond the limit/)
})

test('a file whose elements are not as its transfer syntax says is read as it is, with a note', () => {
  const { dataSet, notes } = parseDicom(withMeta('1.2.840.10008.1.2.1', header(IMPLICIT)))
  assert.equal(dataSet.number('Rows'), 513)
  assert.match(notes[0]!, /says Explicit VR Little Endian, but its elements are implicit/)
})

test('sequences of stated and of undefined length, nested, in every encoding', () => {
  for (const [name, syntax, encoding] of ENCODINGS) {
    const inner = element(encoding, LABEL, 'LO', text('liver'))
    const end = (tag: number) => item(encoding, new Uint8Array(), 0, tag)
    const items = join(
      item(encoding, inner),
      item(encoding, join(inner, end(0xfffee00d)), UNDEFINED_LENGTH),
      item(encoding, new Uint8Array()),
    )
    const sequences = [
      element(encoding, SEGMENTS, 'SQ', items),
      element(encoding, SEGMENTS, 'SQ', join(items, end(0xfffee0dd)), UNDEFINED_LENGTH),
    ]
    for (const sequence of sequences) {
      const nested = element(encoding, 0x52009230, 'SQ', item(encoding, sequence))
      const { dataSet } = parseDicom(withMeta(syntax, join(header(encoding), nested)))
      const [group] = dataSet.items('PerFrameFunctionalGroupsSequence')
      const labels = group!.items('SegmentSequence').map((one) => one.string('SegmentLabel'))
      assert.deepEqual(labels, ['liver', 'liver', null], name)
    }
  }
})

test('a sequence written as UN is implicit within, whatever the file is', () => {
  const items = item(IMPLICIT, element(IMPLICIT, LABEL, '', text('liver')))
  const end = item(IMPLICIT, new Uint8Array(), 0, 0xfffee0dd)
  for (const sequence of [
    element(EXPLICIT, SEGMENTS, 'UN', items),
    element(EXPLICIT, SEGMENTS, 'UN', join(items, end), UNDEFINED_LENGTH),
  ]) {
    const { dataSet } = parseDicom(withMeta('1.2.840.10008.1.2.1', join(header(EXPLICIT), sequence)))
    assert.equal(dataSet.items('SegmentSequence')[0]!.string('SegmentLabel'), 'liver')
  }
})

test('texts are in the character set that the file names, in its items too', () => {
  const name = (encoded: number[]) => element(EXPLICIT, LABEL, 'LO', Uint8Array.from(encoded))
  const set = (value: string) => element(EXPLICIT, 0x00080005, 'CS', text(value))
  for (const [charset, encoded, expected] of [
    ['ISO_IR 100', [0x4d, 0xfc], 'Mü'],
    ['ISO_IR 192', [0xc3, 0xbc], 'ü'],
    ['ISO_IR 144', [0xbc, 0xd8], 'Ми'],
    ['', [0x41, 0x20], 'A'],
  ] as const) {
    const sequence = element(EXPLICIT, SEGMENTS, 'SQ', item(EXPLICIT, name([...encoded])))
    const { dataSet } = parseDicom(withMeta('1.2.840.10008.1.2.1', join(set(charset), sequence)))
    assert.equal(dataSet.items('SegmentSequence')[0]!.string('SegmentLabel'), expected, charset)
  }
})

test('megabytes of zeros before the last byte do not take long', () => {
  const zeros = new Uint8Array(8e6)
  zeros[zeros.length - 1] = 1
  const start = performance.now()
  assert.throws(() => parseDicom(withMeta('1.2.840.10008.1.2', join(header(IMPLICIT), zeros))), ImageError)
  assert.ok(performance.now() - start < 2000)
})

test('zeros at the end are padding', () => {
  const bytes = withMeta('1.2.840.10008.1.2.1', join(header(EXPLICIT), new Uint8Array(64)))
  assert.equal(parseDicom(bytes).dataSet.elements.size, 2)
})

/** Sequences in sequences, `depth` deep. */
function nest(depth: number): Uint8Array {
  let value = element(EXPLICIT, LABEL, 'LO', text('deep'))
  for (let i = 0; i < depth; i++) value = element(EXPLICIT, SEGMENTS, 'SQ', item(EXPLICIT, value))
  return value
}

const BAD: Record<string, [body: Uint8Array, reason: RegExp, syntax?: string]> = {
  'an element longer than the file': [
    element(EXPLICIT, MODALITY, 'CS', text('CT'), 400),
    /Modality \(0008,0060\) at byte \d+ claims 400 bytes, and 2 follow/,
  ],
  'an item longer than its sequence': [
    element(EXPLICIT, SEGMENTS, 'SQ', item(EXPLICIT, text('AB'), 80)),
    /an item claims 80 bytes, and 2 follow/,
  ],
  'a sequence without its end': [
    element(EXPLICIT, SEGMENTS, 'SQ', new Uint8Array(), UNDEFINED_LENGTH),
    /a sequence does not end/,
  ],
  'something else in place of an item': [
    element(EXPLICIT, SEGMENTS, 'SQ', element(IMPLICIT, ROWS, '', uint16(EXPLICIT, 1))),
    /Rows \(0028,0010\) stands where an item belongs/,
  ],
  'an item among elements': [
    join(header(EXPLICIT), item(EXPLICIT, text('AB'))),
    /\(fffe,e000\) stands where an element/,
  ],
  'no value representation': [
    join(header(EXPLICIT), element(IMPLICIT, ROWS, '', uint16(EXPLICIT, 1))),
    /Rows \(0028,0010\) has no value representation/,
  ],
  'sequences without end in depth': [nest(40), /nest deeper than 32/],
  'an unknown transfer syntax': [
    header(EXPLICIT),
    /transfer syntax "1\.2\.840\.10008\.1\.2\.4\.100" is not read/,
    '1.2.840.10008.1.2.4.100',
  ],
  'a fragment longer than the file': [
    element(EXPLICIT, 0x7fe00010, 'OB', item(EXPLICIT, text('AB'), 80), UNDEFINED_LENGTH),
    /a fragment of the pixel data claims 80 bytes, and 2 follow/,
  ],
}

for (const [name, [body, reason, syntax]] of Object.entries(BAD))
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parseDicom(withMeta(syntax ?? '1.2.840.10008.1.2.1', body)),
      (error) => {
        assert.ok(error instanceof ImageError, String(error))
        assert.match(error.reason, reason)
        return true
      },
    )
  })

test('other files are not taken for DICOM', () => {
  const others = [
    '',
    'PK\x03\x04',
    'II*\0\x08\0\0\0',
    'patient,label\n1,pneumonia\n',
    '\x89PNG\r\n\x1a\n\0\0\0\rIHDR',
  ]
  for (const other of others) assert.equal(isDicom(new TextEncoder().encode(other)), false, other)
  assert.throws(() => parseDicom(new Uint8Array(200)), /not DICOM/)
})
