import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { askPython } from '../testing/monai.ts'
import type { Volume } from '../volume.ts'
import { readSegmentation } from './seg_read.ts'
import { writeSegmentation } from './seg_write.ts'
import type { SeriesPlan } from './series.ts'
import { nestedBoxes, obliqueSeries, realSeries, skipWithoutSeries } from './testing/drawn_series.ts'
import { skipWithoutHighdicom } from './testing/highdicom.ts'
import { type DicomAttributes, writeDicom } from './write.ts'

const REGIONS = [
  { name: 'whole', values: [1, 2, 3] },
  { name: 'core', values: [2, 3] },
  { name: 'centre', values: [3] },
]

function written(plan: SeriesPlan, structures = REGIONS): Uint8Array {
  let number = 0
  return writeSegmentation({
    mask: nestedBoxes(plan),
    structures,
    series: plan,
    model: { name: 'nested', version: '3', digest: 'ab'.repeat(32) },
    created: new Date(2026, 0, 2),
    newUid: () => `2.25.${++number}`,
  })
}

const count = ({ data }: Volume, is: (value: number) => boolean) => data.filter(is).length

test('regions that overlap come back as the mask they were written from', async () => {
  const { plan } = obliqueSeries()
  const expected = nestedBoxes(plan)
  const { volume, structures, overlaps, notes } = await readSegmentation(written(plan), plan)
  assert.deepEqual(volume, expected)
  assert.deepEqual(structures, [
    { name: 'whole', value: 1, voxels: count(expected, (value) => value >= 1) },
    { name: 'core', value: 2, voxels: count(expected, (value) => value >= 2) },
    { name: 'centre', value: 3, voxels: count(expected, (value) => value >= 3) },
  ])
  const [inner, innermost] = [structures[1]!.voxels, structures[2]!.voxels]
  assert.ok(innermost > 0 && inner > innermost)
  assert.deepEqual(overlaps, [
    { lost_by: 'whole', won_by: 'core', voxels: inner },
    { lost_by: 'core', won_by: 'centre', voxels: innermost },
  ])
  assert.match(notes[0]!, new RegExp(`"core" lies over "whole" in ${inner} voxels`))
})

test('a real series too', { skip: skipWithoutSeries }, async () => {
  const { plan } = realSeries()
  const labels = [1, 2, 3].map((value) => ({ name: `part ${value}`, values: [value] }))
  const { volume, overlaps } = await readSegmentation(written(plan, labels), plan)
  assert.deepEqual(volume, nestedBoxes(plan))
  assert.deepEqual(overlaps, [])
})

test('segments are chosen by name, with the values asked for; an unknown name is refused', async () => {
  const { plan } = obliqueSeries()
  const boxes = nestedBoxes(plan)
  const { volume } = await readSegmentation(written(plan), plan, { centre: 1, whole: 7 })
  // The higher value wins where they overlap.
  assert.deepEqual(
    volume.data,
    boxes.data.map((value) => (value > 0 ? 7 : 0)),
  )
  await assert.rejects(readSegmentation(written(plan), plan, { left: 1, core: 2 }), (error) => {
    assert.ok(error instanceof ImageError)
    assert.match(error.reason, /no structure "left"; it has "whole", "core", "centre"/)
    return true
  })
})

/** A segmentation of one frame on the oblique series, told by hand. */
function oneFrame(plan: SeriesPlan, z: number, bits: Uint8Array, changes: DicomAttributes = {}): Uint8Array {
  const { position, orientation, spacing } = plan.slices[z]!.place
  return writeDicom({
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.66.4',
    SOPInstanceUID: '1.2',
    Modality: 'SEG',
    SegmentationType: 'BINARY',
    SegmentSequence: [{ SegmentNumber: 4, SegmentLabel: 'spot' }],
    NumberOfFrames: 1,
    Rows: 7,
    Columns: 9,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    BitsAllocated: 1,
    BitsStored: 1,
    HighBit: 0,
    PixelRepresentation: 0,
    PixelData: bits,
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ PixelSpacing: [...spacing] }],
        PlaneOrientationSequence: [{ ImageOrientationPatient: [...orientation] }],
        SegmentIdentificationSequence: [{ ReferencedSegmentNumber: 4 }],
      },
    ],
    PerFrameFunctionalGroupsSequence: [{ PlanePositionSequence: [{ ImagePositionPatient: [...position] }] }],
    ...changes,
  })
}

/** Row 1, column 2 of 7 × 9. */
const SPOT = Uint8Array.of(0, 0b1000, 0, 0, 0, 0, 0, 0)
const indicesOf = ({ data }: Volume) => [...data.entries()].flatMap(([i, value]) => (value > 0 ? [i] : []))

test('a frame whose rows run the other way and cover a part of the series lands on the right voxels', async () => {
  const { plan } = obliqueSeries()
  const { position, orientation, spacing } = plan.slices[3]!.place
  // Its first pixel is the series' (row 4, column 6); rows run backwards along columns, columns backwards along rows.
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)]
  const start = position.map((mm, k) => mm + 4 * spacing[0] * column[k]! + 6 * spacing[1] * row[k]!)
  const bytes = oneFrame(plan, 3, Uint8Array.of(0b100001, 0), {
    Rows: 2,
    Columns: 5,
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ PixelSpacing: [spacing[1], spacing[0]] }],
        PlaneOrientationSequence: [{ ImageOrientationPatient: [...column, ...row].map((cosine) => -cosine) }],
        SegmentIdentificationSequence: [{ ReferencedSegmentNumber: 4 }],
      },
    ],
    PerFrameFunctionalGroupsSequence: [{ PlanePositionSequence: [{ ImagePositionPatient: start }] }],
  })
  const { volume } = await readSegmentation(bytes, plan)
  // Pixel (0, 0) is (4, 6), pixel (1, 0) is one column back: (4, 5).
  assert.deepEqual(indicesOf(volume), [3 * 63 + 4 * 9 + 5, 3 * 63 + 4 * 9 + 6])
})

test('voxels beyond the series are left out, and counted', async () => {
  const { plan } = obliqueSeries()
  const { orientation, spacing } = plan.slices[0]!.place
  const shifted = plan.slices[2]!.place.position.map((mm, k) => mm + 7 * spacing[1] * orientation[k]!)
  const bytes = oneFrame(plan, 2, Uint8Array.of(1, 0b1000, 0, 0, 0, 0, 0, 0), {
    PerFrameFunctionalGroupsSequence: [{ PlanePositionSequence: [{ ImagePositionPatient: shifted }] }],
  })
  const { volume, notes } = await readSegmentation(bytes, plan)
  assert.deepEqual(indicesOf(volume), [2 * 63 + 7])
  assert.deepEqual(notes, ['Voxels of the segmentation lie outside of the series and were left out: 1.'])
})

test('what is no segmentation, or does not go with the series or itself, is refused with the reason', async () => {
  const { plan } = obliqueSeries()
  const moved = plan.slices[2]!.place.position.map(
    (mm, k) => mm + 0.5 * plan.affine[4 * k]! * (k === 2 ? 1 : -1),
  )
  const cases: [DicomAttributes, RegExp][] = [
    [{ SegmentationType: 'SURFACE' }, /is no segmentation that is read \(SURFACE\)/],
    [{ SegmentationType: '' }, /is no segmentation that is read \(SEG\)/],
    [{ FrameOfReferenceUID: '1.9' }, /another frame of reference/],
    [{ NumberOfFrames: 2 }, /says 2 frames, but describes 1/],
    [{ PixelData: SPOT.subarray(0, 6) }, /take 8 bytes by the header, and 6 are there/],
    [{ BitsAllocated: 16 }, /BitsAllocated is 16/],
    [{ SegmentSequence: [] }, /names segment 4, which is not described/],
    [{ SegmentSequence: [{ SegmentNumber: 4 }, { SegmentNumber: 4 }] }, /same SegmentNumber/],
    [{ SegmentSequence: [{ SegmentNumber: 4 }, { SegmentNumber: 256 }] }, /would have the value 256/],
    [
      { PerFrameFunctionalGroupsSequence: [{ PlanePositionSequence: [{ ImagePositionPatient: moved }] }] },
      /Frame 1 of the segmentation does not lie on the voxels of the series: its first pixel is at index \(2\.50, -?0\.00, -?0\.00\)/,
    ],
    [{ PerFrameFunctionalGroupsSequence: [{ PlanePositionSequence: [{}] }] }, /frame 1 lacks its position/],
  ]
  for (const [changes, reason] of cases)
    await assert.rejects(readSegmentation(oneFrame(plan, 2, SPOT, changes), plan), (error) => {
      assert.ok(error instanceof ImageError, String(error))
      assert.match(error.reason, reason)
      return true
    })
  const { volume, structures } = await readSegmentation(oneFrame(plan, 2, SPOT), plan)
  assert.deepEqual(indicesOf(volume), [2 * 63 + 11])
  assert.deepEqual(structures, [{ name: 'spot', value: 4, voxels: 1 }])
})

const HIGHDICOM = `
import glob, json
import numpy as np, pydicom, highdicom as hd
from pydicom.sr.codedict import codes
sources = sorted(map(pydicom.dcmread, glob.glob('source-*.dcm')), key=lambda s: s.InstanceNumber)
order = json.load(open('order.json'))
mask = np.fromfile('mask.bin', np.uint8).reshape(len(sources), sources[0].Rows, sources[0].Columns)
by_uid = dict(zip(order, mask))
mask = np.stack([by_uid[s.SOPInstanceUID] for s in sources])
def describe(number):
    return hd.seg.SegmentDescription(number, f'part {number}', codes.SCT.Tissue, codes.SCT.Tissue, 'MANUAL')
def save(name, kind, pixels, **more):
    hd.seg.Segmentation(sources, pixels, kind, [describe(n) for n in (1, 2, 3)], series_instance_uid='1.2.3', series_number=1,
        sop_instance_uid='1.2.4', instance_number=1, manufacturer='m', manufacturer_model_name='m', software_versions='1',
        device_serial_number='1', **more).save_as(name)
regions = np.stack([mask >= 1, mask >= 2, mask >= 3], axis=-1)
save('binary.dcm', 'BINARY', regions.astype(np.uint8))
save('fractional.dcm', 'FRACTIONAL', np.where(regions, 0.5, 0.49).astype(np.float32), max_fractional_value=200)
save('rle.dcm', 'FRACTIONAL', regions.astype(np.float32), transfer_syntax_uid='1.2.840.10008.1.2.5')
save('labels.dcm', 'LABELMAP', mask)
`

test('segmentations that highdicom wrote are read: binary, fractional from one half on, compressed, label map', {
  skip: skipWithoutHighdicom,
}, async () => {
  const { files, plan } = obliqueSeries({
    PatientBirthDate: '',
    PatientSex: '',
    StudyID: '',
    StudyTime: '',
    AccessionNumber: '',
    ReferringPhysicianName: '',
    Manufacturer: '',
  })
  const expected = nestedBoxes(plan)
  const names = ['binary.dcm', 'fractional.dcm', 'rle.dcm', 'labels.dcm']
  const answers = await askPython(
    HIGHDICOM,
    {
      'mask.bin': expected.data,
      'order.json': JSON.stringify(plan.slices.map(({ instance }) => instance.sopInstanceUid)),
      ...Object.fromEntries(files.map((bytes, i) => [`source-${i}.dcm`, bytes])),
    },
    names,
  )
  for (const [i, bytes] of answers.entries()) {
    const { volume, structures, overlaps } = await readSegmentation(new Uint8Array(bytes), plan)
    assert.deepEqual(volume, expected, names[i]!)
    assert.deepEqual(
      structures.map(({ name, value }) => [name, value]),
      [1, 2, 3].map((n) => [`part ${n}`, n]),
    )
    assert.equal(overlaps.length, names[i] === 'labels.dcm' ? 0 : 2)
  }
})
