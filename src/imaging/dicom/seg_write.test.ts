import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askPython } from '../testing/monai.ts'
import { readDicomInstance } from './instance.ts'
import { parseDicom } from './parse.ts'
import { packFrames } from './seg_frames.ts'
import { type CodedStructure, type SegmentationContent, writeSegmentation } from './seg_write.ts'
import { planSeries, type SeriesPlan } from './series.ts'
import {
  type DrawnSeries,
  nestedBoxes,
  obliqueSeries,
  realSeries,
  skipWithoutSeries,
} from './testing/drawn_series.ts'
import { skipWithoutHighdicom } from './testing/highdicom.ts'
import { greySlice } from './testing/slices.ts'

const REGIONS: CodedStructure[] = [
  { name: 'Whole structure, all of its parts', values: [1, 2, 3] },
  { name: 'core', values: [2, 3] },
  {
    name: 'centre',
    values: [3],
    codes: {
      category: { value: '91723000', scheme: 'SCT', meaning: 'Anatomical Structure' },
      type: { value: '4421005', scheme: 'SCT', meaning: 'Cell' },
    },
  },
]

function content(plan: DrawnSeries['plan'], changes: Partial<SegmentationContent> = {}): SegmentationContent {
  let number = 0
  return {
    mask: nestedBoxes(plan),
    structures: REGIONS,
    series: plan,
    model: { name: 'nested', version: '3', digest: 'ab'.repeat(32) },
    created: new Date(2026, 0, 2, 3, 4, 5),
    newUid: () => `2.25.${++number}`,
    ...changes,
  }
}

const CHECK = `
import glob, json, warnings
import numpy as np, pydicom, highdicom as hd
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map
warnings.simplefilter('error')
seg = hd.seg.segread('mask.dcm')
order = json.load(open('order.json'))
pixels = seg.get_pixels_by_source_instance(order, assert_missing_frames_are_empty=True)
pixels.astype(np.uint8).tofile('pixels.bin')
volume = seg.get_volume(segment_numbers=[1], combine_segments=False)
source = {i.SOPInstanceUID: i for i in map(pydicom.dcmread, glob.glob('source-*.dcm'))}
def datasets(at, path):
    return [at] if not path else [d for item in at.get(path[0], []) for d in datasets(item, path[1:])]
missing = []
for module in get_iod_module_map()['segmentation']:
    if module['usage'] != 'M' and module['key'] not in ('frame-of-reference', 'common-instance-reference'): continue
    for attribute in get_module_attribute_map()[module['key']]:
        for at in datasets(seg, attribute['path']):
            name = attribute['keyword']
            # A functional group stands in one of the two places; the slide's is for microscopy.
            if attribute['path'] == ['PerFrameFunctionalGroupsSequence'] and name != 'PlanePositionSlideSequence':
                if name not in at and name not in seg.SharedFunctionalGroupsSequence[0]: missing.append(['group', name])
                continue
            if attribute['path'] in (['SharedFunctionalGroupsSequence'], ['PerFrameFunctionalGroupsSequence']): continue
            if attribute['type'] in '12' and name not in at: missing.append([module['key'], *attribute['path'], name])
            elif attribute['type'] == '1' and at[name].is_empty: missing.append([name, 'empty'])
wrong = []
for frame in seg.PerFrameFunctionalGroupsSequence:
    image = source[frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
    place = frame.PlanePositionSequence[0].ImagePositionPatient
    if not np.allclose(np.array(place, float), np.array(image.ImagePositionPatient, float), atol=1e-9): wrong.append(image.InstanceNumber)
first = next(iter(source.values()))
shared = seg.SharedFunctionalGroupsSequence[0]
json.dump({
    'missing': missing, 'wrong': wrong, 'frames': seg.NumberOfFrames,
    'same': [k for k in ('PatientID', 'PatientName', 'StudyInstanceUID', 'FrameOfReferenceUID', 'StudyDate', 'Rows', 'Columns') if seg.get(k) == first.get(k)],
    'referenced': [[s.SeriesInstanceUID == first.SeriesInstanceUID, sorted(i.ReferencedSOPInstanceUID for i in s.ReferencedInstanceSequence) == sorted(source)] for s in seg.ReferencedSeriesSequence],
    'segments': [[seg.get_segment_description(n).segment_label, seg.get_segment_description(n).segmented_property_type.meaning, seg.get_segment_description(n).segmented_property_type.scheme_designator, seg.get_segment_description(n).algorithm_type.value, seg.get_segment_description(n).algorithm_identification.name] for n in seg.segment_numbers],
    'spacing': [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing],
    'affine': volume.affine.tolist(), 'shape': list(volume.spatial_shape), 'overlap': seg.SegmentsOverlap,
    'voxels': int(volume.array.sum()),
}, open('facts.json', 'w'))
`

async function checkWithHighdicom({ files, plan }: DrawnSeries): Promise<void> {
  const whole = content(plan)
  const [pixels, facts] = await askPython(
    CHECK,
    {
      'mask.dcm': writeSegmentation(whole),
      'order.json': JSON.stringify(plan.slices.map(({ instance }) => instance.sopInstanceUid)),
      ...Object.fromEntries(files.map((bytes, i) => [`source-${i}.dcm`, bytes])),
    },
    ['pixels.bin', 'facts.json'],
  )
  // [slices, rows, columns, segments]
  const { data } = whole.mask
  assert.equal(pixels!.length, data.length * REGIONS.length)
  const expected = new Uint8Array(pixels!.length)
  for (const [i, value] of data.entries())
    for (const [s, { values }] of REGIONS.entries())
      expected[i * REGIONS.length + s] = values.includes(value) ? 1 : 0
  assert.ok(pixels!.equals(expected))
  const said = JSON.parse(facts!.toString())
  assert.deepEqual(said.missing, [])
  assert.deepEqual(said.wrong, [])
  assert.deepEqual(said.referenced, [[true, true]])
  assert.deepEqual(said.same, [
    'PatientID',
    'PatientName',
    'StudyInstanceUID',
    'FrameOfReferenceUID',
    'StudyDate',
    'Rows',
    'Columns',
  ])
  assert.deepEqual(said.segments, [
    [REGIONS[0]!.name, REGIONS[0]!.name, '99FIDUCIAL', 'AUTOMATIC', 'nested'],
    ['core', 'core', '99FIDUCIAL', 'AUTOMATIC', 'nested'],
    ['centre', 'Cell', 'SCT', 'AUTOMATIC', 'nested'],
  ])
  assert.equal(said.overlap, 'YES')
  assert.equal(said.voxels, data.filter((value) => value > 0).length)
  // The first and last slice are empty: their frames are left out, and the volume begins at slice 1. LPS to RAS.
  const [depth, height, width] = plan.shape
  assert.deepEqual(said.shape, [depth - 2, height, width])
  checkSameGrid(said.affine, plan.affine, depth)
}

/** highdicom's affine maps (slice, row, column) to LPS, its slices in either direction. */
function checkSameGrid(lps: number[][], affine: readonly number[], depth: number): void {
  const isReversed = lps[0]![0]! * -affine[0]! + lps[1]![0]! * -affine[4]! + lps[2]![0]! * affine[8]! < 0
  const [from, sign] = isReversed ? [depth - 2, -1] : [1, 1]
  for (const row of [0, 1, 2]) {
    const lpsSign = row === 2 ? 1 : -1
    const own = affine.slice(4 * row, 4 * row + 4)
    const expected = [sign * own[0]!, own[1]!, own[2]!, own[3]! + from * own[0]!].map((mm) => mm * lpsSign)
    for (const [k, mm] of expected.entries())
      assert.ok(Math.abs(mm - lps[row]![k]!) < 1e-6, `${lps} is not ${affine}`)
  }
}

test(
  'highdicom reads each source instance of a real series with exactly its mask, and finds nothing missing',
  {
    skip: skipWithoutSeries || skipWithoutHighdicom,
  },
  () => checkWithHighdicom(realSeries()),
)

test(
  'the same of an oblique series whose files come in reverse order, with 63 pixels a frame',
  {
    skip: skipWithoutHighdicom,
  },
  () => checkWithHighdicom(obliqueSeries()),
)

test('a frame stands for each slice in which a segment has voxels, segment by segment', () => {
  const mask = Uint8Array.of(0, 0, 0, 5, 0, 0, 0, 5, 7)
  const { frames, bits, isOverlapping } = packFrames(mask, [3, 1, 3], [[7], [5]])
  assert.deepEqual(frames, [
    { segment: 1, z: 2 },
    { segment: 2, z: 1 },
    { segment: 2, z: 2 },
  ])
  // 001, 100, 010, first pixel in the lowest bit: 0b1_00_1100 and then 0b0.
  assert.deepEqual([...bits], [0b10001100, 0b0])
  assert.equal(isOverlapping, false)
  assert.equal(packFrames(mask, [3, 1, 3], [[7, 5], [5]]).isOverlapping, true)
  assert.equal(packFrames(mask, [3, 1, 3], [[7, 4], [4]]).isOverlapping, false)
})

test('an empty mask is one empty frame, and still describes its segments', () => {
  const { plan } = obliqueSeries()
  const mask = nestedBoxes(plan)
  mask.data.fill(0)
  const { dataSet } = parseDicom(writeSegmentation(content(plan, { mask })))
  assert.equal(dataSet.number('NumberOfFrames'), 1)
  assert.deepEqual(dataSet.raw('PixelData'), new Uint8Array(8))
  assert.equal(dataSet.items('SegmentSequence').length, 3)
})

/** One instance whose frames are the slices of the oblique series, the highest first. */
function enhancedSeries(): SeriesPlan {
  const { plan } = obliqueSeries()
  const { orientation, spacing } = plan.slices[0]!.place
  const bytes = greySlice({
    FrameOfReferenceUID: '1.2.3.9',
    NumberOfFrames: plan.slices.length,
    Rows: 7,
    Columns: 9,
    ImageOrientationPatient: null,
    ImagePositionPatient: null,
    PixelSpacing: null,
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ PixelSpacing: [...spacing] }],
        PlaneOrientationSequence: [{ ImageOrientationPatient: [...orientation] }],
      },
    ],
    PerFrameFunctionalGroupsSequence: plan.slices
      .toReversed()
      .map(({ place }) => ({ PlanePositionSequence: [{ ImagePositionPatient: [...place.position] }] })),
    PixelData: new Uint8Array(2 * 63 * plan.slices.length),
  })
  return planSeries([readDicomInstance(bytes)])
}

test('highdicom reads each frame of an enhanced instance with exactly its mask', {
  skip: skipWithoutHighdicom,
}, async () => {
  const plan = enhancedSeries()
  const whole = content(plan)
  const [{ frame, instance }] = plan.slices as [SeriesPlan['slices'][number]]
  assert.equal(frame, 5)
  const program = `
import numpy as np, highdicom as hd
seg = hd.seg.segread('mask.dcm')
order = [6, 5, 4, 3, 2, 1]
pixels = seg.get_pixels_by_source_frame('${instance.sopInstanceUid}', order, segment_numbers=[1], assert_missing_frames_are_empty=True)
pixels.astype(np.uint8).tofile('pixels.bin')
assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
`
  const [pixels] = await askPython(program, { 'mask.dcm': writeSegmentation(whole) }, ['pixels.bin'])
  assert.deepEqual(
    new Uint8Array(pixels!),
    whole.mask.data.map((value) => (value > 0 ? 1 : 0)),
  )
})

test('a series without what a segmentation must repeat is refused with what it lacks', () => {
  const lacking = (changes: Parameters<typeof obliqueSeries>[0]) => () =>
    writeSegmentation(content(obliqueSeries(changes).plan))
  assert.throws(lacking({ FrameOfReferenceUID: '' }), /has no FrameOfReferenceUID/)
  assert.throws(lacking({ StudyInstanceUID: 'one' }), /StudyInstanceUID of the series is no UID: "one"/)
  const { files } = obliqueSeries()
  const other = obliqueSeries({ FrameOfReferenceUID: '1.2.3.10' }).files
  const mixed = planSeries([...files.slice(0, 3), ...other.slice(3)].map((bytes) => readDicomInstance(bytes)))
  assert.throws(() => writeSegmentation(content(mixed)), /2 different values of FrameOfReferenceUID/)
})

test('a mask on another grid is a mistake of the caller', () => {
  const { plan } = obliqueSeries()
  const mask = nestedBoxes(plan)
  const moved = (mm: number) => ({ ...mask, affine: mask.affine.with(3, mask.affine[3]! + mm) })
  assert.throws(() => writeSegmentation(content(plan, { mask: moved(0.5) })), RangeError)
  assert.ok(writeSegmentation(content(plan, { mask: moved(0.01) })).length > 0, 'rounded is the same grid')
})
