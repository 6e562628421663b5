import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDicom } from './parse.ts'
import { greySlice } from './testing/slices.ts'
import { type DicomAttributes, decimalString, writeDicom } from './write.ts'

const ATTRIBUTES: DicomAttributes = {
  SOPClassUID: '1.2.840.10008.5.1.4.1.1.66.4',
  SOPInstanceUID: '1.2.3',
  PatientName: 'Müller^Jürgen',
  PatientID: 'A 1',
  InstanceNumber: 12,
  ImagePositionPatient: [-0.1, 2 / 3, 1e-20],
  FloatPixelData: new Uint8Array(Float32Array.of(1.5, -2.5).buffer),
  ReferencedSegmentNumber: [1, 2],
  SegmentSequence: [
    { SegmentNumber: 1, SegmentLabel: 'left', SegmentedPropertyTypeCodeSequence: [{ CodeValue: 'T-1' }] },
    { SegmentNumber: 2, SegmentLabel: 'right' },
  ],
  DimensionIndexSequence: [{ DimensionIndexPointer: 0x0062000b, FunctionalGroupPointer: 0x0062000a }],
  PixelPaddingValue: -2000,
}

test('what is written is read again', () => {
  const bytes = writeDicom(ATTRIBUTES, { vrs: { PixelPaddingValue: 'SS' } })
  assert.equal(bytes.length % 2, 0)
  const { dataSet, transferSyntax, notes } = parseDicom(bytes)
  assert.deepEqual(notes, [])
  assert.equal(transferSyntax.name, 'Explicit VR Little Endian')
  assert.equal(dataSet.string('PatientName'), 'Müller^Jürgen')
  assert.equal(dataSet.string('PatientID'), 'A 1')
  assert.equal(dataSet.number('InstanceNumber'), 12)
  assert.equal(dataSet.number('PixelPaddingValue'), -2000)
  const [x, y, z] = dataSet.numbers('ImagePositionPatient')
  assert.equal(x, -0.1)
  assert.ok(Math.abs(y! - 2 / 3) < 1e-13)
  assert.equal(z, 1e-20)
  assert.deepEqual(dataSet.numbers('ReferencedSegmentNumber'), [1, 2])
  const segments = dataSet.items('SegmentSequence')
  assert.deepEqual(
    segments.map((item) => item.string('SegmentLabel')),
    ['left', 'right'],
  )
  assert.equal(segments[0]!.items('SegmentedPropertyTypeCodeSequence')[0]!.string('CodeValue'), 'T-1')
  assert.deepEqual(
    [...dataSet.elements.keys()],
    [...dataSet.elements.keys()].sort((a, b) => a - b),
  )
})

test('a value that does not fit its element is a mistake of the caller', () => {
  const wrong: [DicomAttributes, RegExp][] = [
    [{ Rows: 65536 }, /Rows is 65536, outside/],
    [{ Rows: -1 }, /Rows is -1/],
    [{ Modality: 'A MODALITY TOO LONG' }, /longer than the 16 characters of CS/],
    [{ ImagePositionPatient: [Number.NaN] }, /NaN/],
    [{ Rows: 'three' }, /Rows cannot hold "three"/],
    [{ SOPInstanceUID: '' }, /needs SOPInstanceUID/],
  ]
  for (const [attributes, message] of wrong)
    assert.throws(() => writeDicom({ ...ATTRIBUTES, ...attributes }), message)
})

test('decimal strings keep what 16 characters can hold', () => {
  for (const value of [0, -1, 0.1, 1 / 3, -1 / 3, 123456.789012345, -1.234567890123e-7, 1e300, -5e-324]) {
    const text = decimalString(value)
    assert.ok(text.length <= 16, text)
    assert.ok(Math.abs(Number(text) - value) <= Math.abs(value) * 1e-9, `${value} as ${text}`)
  }
  assert.equal(decimalString(-0.70310678), '-0.70310678')
})

const python = join(import.meta.dirname, '../../../.venv/bin/python')
const skip = existsSync(python) ? false : 'there is no Python environment'

test('pydicom reads what is written, without a warning', { skip }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fiducial-dicom-'))
  try {
    writeFileSync(join(folder, 'a.dcm'), writeDicom(ATTRIBUTES, { vrs: { PixelPaddingValue: 'SS' } }))
    writeFileSync(join(folder, 'b.dcm'), greySlice({ InstanceNumber: 3 }))
    const code = `
import sys, warnings
try: import pydicom
except ImportError: print('no pydicom'); sys.exit()
warnings.simplefilter('error')
a = pydicom.dcmread(sys.argv[1]); b = pydicom.dcmread(sys.argv[2])
print(a.PatientName, a.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue, a.PixelPaddingValue,
      a.DimensionIndexSequence[0].DimensionIndexPointer, b.pixel_array[2, 4])`
    const said = execFileSync(python, ['-c', code, join(folder, 'a.dcm'), join(folder, 'b.dcm')], {
      encoding: 'utf8',
    })
    if (said.trim() === 'no pydicom') return t.skip('pydicom is not installed')
    assert.equal(said.trim(), 'Müller^Jürgen T-1 -2000 (0062,000B) 3014')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
