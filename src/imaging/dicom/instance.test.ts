import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDicomInstance } from './instance.ts'
import { greySlice } from './testing/slices.ts'

test('an instance says whose it is, what it is and where it lies', () => {
  const bytes = greySlice({
    InstanceNumber: 7,
    AccessionNumber: 'ACC1',
    BurnedInAnnotation: 'NO',
    SliceThickness: 2.5,
    FrameOfReferenceUID: '1.2.9',
  })
  const { file, image, ...facts } = readDicomInstance(bytes)
  assert.equal(file.transferSyntax.name, 'Explicit VR Little Endian')
  assert.deepEqual(facts, {
    patientId: 'P1',
    studyUid: '1.2.3',
    seriesUid: '1.2.3.4',
    sopInstanceUid: '1.2.3.4.7',
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    frameOfReferenceUid: '1.2.9',
    accessionNumber: 'ACC1',
    modality: 'CT',
    instanceNumber: 7,
    imageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
    burnedInAnnotation: false,
  })
  const { frames, rows, columns, numFrames, photometric } = image!
  assert.deepEqual([rows, columns, numFrames, photometric], [3, 5, 1, 'MONOCHROME2'])
  assert.deepEqual(frames, [
    {
      position: [-20, -30, 27.5],
      orientation: [1, 0, 0, 0, 1, 0],
      spacing: [0.75, 0.5],
      spacingFrom: 'PixelSpacing',
      sliceThickness: 2.5,
      modality: { kind: 'linear', slope: 1, intercept: 0 },
      vois: [],
    },
  ])
})

test('spacing on the detector stands in for one in the patient, and says so', () => {
  const [frame] = readDicomInstance(greySlice({ PixelSpacing: null, ImagerPixelSpacing: [0.14, 0.15] }))
    .image!.frames
  assert.deepEqual([frame!.spacing, frame!.spacingFrom], [[0.14, 0.15], 'ImagerPixelSpacing'])
})

test('a spacing of 0 is none', () => {
  const [frame] = readDicomInstance(greySlice({ PixelSpacing: [0, 1] })).image!.frames
  assert.deepEqual([frame!.spacing, frame!.spacingFrom], [null, null])
})

test('what is missing or empty is null', () => {
  const instance = readDicomInstance(
    greySlice({ PatientID: '', InstanceNumber: null, ImagePositionPatient: null, PixelData: null }),
  )
  assert.deepEqual([instance.patientId, instance.instanceNumber, instance.image], [null, null, null])
})

test('frames described must be as many as there are', () => {
  const groups = [{}, {}, {}].map(() => ({ PlanePositionSequence: [{ ImagePositionPatient: [0, 0, 0] }] }))
  assert.throws(
    () => readDicomInstance(greySlice({ NumberOfFrames: 2, PerFrameFunctionalGroupsSequence: groups })),
    /says 2 frames, but describes 3/,
  )
})

test('numbers that cannot be are refused', () => {
  assert.throws(
    () => readDicomInstance(greySlice({ ImagePositionPatient: [1, 2] })),
    /holds 2 numbers, where 3/,
  )
  assert.throws(() => readDicomInstance(greySlice({ Rows: 0 })), /Rows is 0/)
  assert.throws(() => readDicomInstance(greySlice({ BitsStored: 17 })), /BitsStored is 17/)
  assert.throws(() => readDicomInstance(greySlice({ HighBit: 11 })), /HighBit is 11/)
})
