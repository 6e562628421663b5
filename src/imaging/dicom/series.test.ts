import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import type { Affine } from '../volume.ts'
import { readDicomInstance } from './instance.ts'
import { planSeries, seriesToVolume } from './series.ts'
import { counting, greySlice, SLICE_SHAPE } from './testing/slices.ts'
import type { DicomAttributes } from './write.ts'

type Changes = { [K in keyof DicomAttributes]: DicomAttributes[K] | null }
type Place = [number, number, number]

const [ROWS, COLUMNS] = SLICE_SHAPE
const read = (changes: Changes) => readDicomInstance(greySlice(changes))

/** Slices 1 to `count`, each with `changes(number)`. */
const series = (count: number, changes: (number: number) => Changes = () => ({})) =>
  Array.from({ length: count }, (_, i) => read({ InstanceNumber: i + 1, ...changes(i + 1) }))

function world(affine: Affine, index: Place): number[] {
  return [0, 1, 2].map(
    (row) =>
      affine[4 * row]! * index[0] +
      affine[4 * row + 1]! * index[1] +
      affine[4 * row + 2]! * index[2] +
      affine[4 * row + 3]!,
  )
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-9): void {
  assert.equal(actual.length, expected.length)
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `[${actual}] is not [${expected}]`)
}

const FOLDER = join(import.meta.dirname, '../../../../shared/data/dicom/series_mr_hippocrop')
const skip = existsSync(FOLDER) ? false : 'the DICOM series of ../shared/data is not here'

test('a real MR series has its voxels in order and the affine computed by hand from its headers', {
  skip,
}, async () => {
  const bytes = readdirSync(FOLDER).map((name) => new Uint8Array(readFileSync(join(FOLDER, name))))
  const instances = bytes.map(readDicomInstance)
  const { volume, slices } = await seriesToVolume(instances)
  assert.deepEqual(volume.shape, [32, 51, 35])
  assert.ok(volume.data instanceof Int16Array)
  // By hand: this series is axial, its columns 1 mm apart towards the left, its rows 1 mm apart towards the back.
  const first = slices[0]!.place
  assert.deepEqual(first.orientation, [1, 0, 0, 0, 1, 0])
  const heights = instances.map(({ image }) => image!.frames[0]!.position![2]).sort((a, b) => a - b)
  const [x, y] = first.position
  const [dy, dx] = first.spacing
  const dz = (heights[31]! - heights[0]!) / 31
  assertClose(volume.affine, [0, 0, -dx, -x, 0, -dy, 0, -y, dz, 0, 0, heights[0]!, 0, 0, 0, 1])
  // Voxels straight from the end of each file, where its 51 × 35 values of 16 bits lie.
  for (const [z, { instance }] of slices.entries()) {
    assert.equal(instance.image!.frames[0]!.position![2], heights[z])
    const file = bytes[instances.indexOf(instance)]!
    const stored = new Int16Array(file.slice(file.length - 51 * 35 * 2).buffer)
    assert.deepEqual(volume.data.subarray(z * 51 * 35, (z + 1) * 51 * 35), stored)
  }
})

test('whatever the order and numbering of files, slices go by position along the normal', async () => {
  const heights = [30, 10, 40, 20]
  const instances = heights.map((height, i) =>
    read({ InstanceNumber: i + 1, ImagePositionPatient: [-20, -30, height] }),
  )
  const { volume, slices } = await seriesToVolume(instances)
  assert.deepEqual(
    slices.map(({ instance }) => instance.instanceNumber),
    [2, 4, 1, 3],
  )
  assert.deepEqual(
    [0, 1, 2, 3].map((z) => volume.data[z * ROWS * COLUMNS]),
    [2000, 4000, 1000, 3000],
  )
  // LPS (-20, -30, 10) is RAS (20, 30, 10); x and y grow towards left and back, so world falls.
  assert.deepEqual(volume.affine, [0, 0, -0.5, 20, 0, -0.75, 0, 30, 10, 0, 0, 10, 0, 0, 0, 1])
})

/** Direction cosines of rows and columns: permuted, reversed, and oblique about two axes. */
const turn = (about: number, tilt: number): DicomAttributes['ImageOrientationPatient'] & number[] => [
  Math.cos(about),
  Math.sin(about),
  0,
  -Math.sin(about) * Math.cos(tilt),
  Math.cos(about) * Math.cos(tilt),
  Math.sin(tilt),
]
const ORIENTATIONS: Record<string, number[]> = {
  axial: [1, 0, 0, 0, 1, 0],
  'axial, rows and columns reversed': [-1, 0, 0, 0, -1, 0],
  'axial, seen from above': [-1, 0, 0, 0, 1, 0],
  coronal: [1, 0, 0, 0, 0, -1],
  sagittal: [0, 1, 0, 0, 0, -1],
  oblique: turn(0.4, 0),
  'doubly oblique': turn(-0.3, 0.7),
}

test('the affine puts every voxel where its header says, in every orientation and file order', async () => {
  for (const [name, orientation] of Object.entries(ORIENTATIONS))
    for (const direction of [1, -1]) {
      const [a, b, c, d, e, f] = orientation as [number, number, number, number, number, number]
      const normal = [b * f - c * e, c * d - a * f, a * e - b * d]
      const position = (n: number) => [12.5, -40.25, 7].map((mm, i) => mm + direction * 3.5 * n * normal[i]!)
      const instances = series(4, (n) => ({
        ImageOrientationPatient: orientation,
        ImagePositionPatient: position(n),
        PixelSpacing: [0.75, 0.5],
      }))
      const { volume } = await seriesToVolume(instances)
      for (let n = 1; n <= 4; n++)
        for (const [y, x] of [
          [0, 0],
          [2, 4],
          [1, 3],
        ] as const) {
          const z = direction === 1 ? n - 1 : 4 - n
          // PS3.3, C.7.6.2.1.1: x along the row direction by column spacing, y along the column direction by row's.
          const lps = position(n).map(
            (mm, i) => mm + orientation[i]! * 0.5 * x + orientation[i + 3]! * 0.75 * y,
          )
          assertClose(world(volume.affine, [z, y, x]), [-lps[0]!, -lps[1]!, lps[2]!], 1e-6)
          assert.equal(volume.data[(z * ROWS + y) * COLUMNS + x], 1000 * n + y * COLUMNS + x, name)
        }
    }
})

test('whole intercepts are added to the ends of the range without a carry', async () => {
  const ends = Int16Array.of(-2048, 2047, -1, 0, 1, -2048, 2047, 2047, -1, -2048, 0, 1, 2, 3, 4)
  for (const intercept of [-30720, -1024, -1, 1, 1024, 30720]) {
    const { volume } = await seriesToVolume(
      series(3, () => ({
        ...{ BitsStored: 12, HighBit: 11, PixelData: new Uint8Array(ends.buffer) },
        ...{ RescaleSlope: 1, RescaleIntercept: intercept },
      })),
    )
    assert.ok(volume.data instanceof Int16Array)
    assert.deepEqual(
      [...volume.data],
      [...ends, ...ends, ...ends].map((value) => value + intercept),
    )
  }
})

test('each slice goes through its own rescale; int16 while that is exact, float32 beyond', async () => {
  const whole = await seriesToVolume(series(3, () => ({ RescaleSlope: 2, RescaleIntercept: -1024 })))
  assert.ok(whole.volume.data instanceof Int16Array)
  assert.equal(whole.volume.data[ROWS * COLUMNS + 3], 2 * 2003 - 1024)
  const pet = await seriesToVolume(
    series(3, (n) => ({ RescaleSlope: n === 1 ? 1 : 0.25 * n, RescaleIntercept: 0 })),
  )
  assert.ok(pet.volume.data instanceof Float32Array)
  assert.deepEqual(
    [0, 1, 2].map((z) => pet.volume.data[z * ROWS * COLUMNS + 1]),
    [1001, 0.5 * 2001, 0.75 * 3001],
  )
  const wide = await seriesToVolume(
    series(2, (n) => ({ RescaleSlope: n === 2 ? 17 : 1, RescaleIntercept: 0 })),
  )
  assert.ok(wide.volume.data instanceof Float32Array)
  assert.equal(wide.volume.data[ROWS * COLUMNS], 34000)
})

test('bits beyond those stored change nothing, whatever the rescale', async () => {
  const clean = Uint16Array.from({ length: ROWS * COLUMNS }, (_, i) => 273 * i)
  const dirty = clean.map((value, i) => value | ((i % 16) << 12))
  const bits = { BitsStored: 12, HighBit: 11, PixelRepresentation: 0 }
  for (const rescale of [
    {},
    { RescaleSlope: 1, RescaleIntercept: -1024 },
    { RescaleSlope: 2, RescaleIntercept: 7 },
    { RescaleSlope: 0.5, RescaleIntercept: 0 },
  ]) {
    const of = async (pixels: Uint16Array) =>
      (
        await seriesToVolume(
          series(3, () => ({ ...bits, ...rescale, PixelData: new Uint8Array(pixels.buffer) })),
        )
      ).volume.data
    const { RescaleSlope: slope, RescaleIntercept: intercept } = {
      RescaleSlope: 1,
      RescaleIntercept: 0,
      ...rescale,
    }
    const expected = [...clean, ...clean, ...clean].map((value) => value * slope + intercept)
    assert.deepEqual([...(await of(clean))], expected)
    assert.deepEqual([...(await of(dirty))], expected)
  }
})

test('unsigned values beyond int16 become float32 and keep their value', async () => {
  const pixels = new Uint8Array(Uint16Array.from({ length: ROWS * COLUMNS }, (_, i) => 65535 - i).buffer)
  const { volume } = await seriesToVolume(series(2, () => ({ PixelRepresentation: 0, PixelData: pixels })))
  assert.deepEqual([...volume.data.subarray(0, 2)], [65535, 65534])
})

test('frames of an enhanced multi-frame image are slices, placed by their functional groups', async () => {
  const heights = [5, 11, 8]
  const enhanced = read({
    NumberOfFrames: 3,
    PixelData: counting(3 * ROWS * COLUMNS, 0),
    ImagePositionPatient: null,
    ImageOrientationPatient: null,
    PixelSpacing: null,
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ PixelSpacing: [0.75, 0.5], SliceThickness: 3 }],
        PlaneOrientationSequence: [{ ImageOrientationPatient: [0, 1, 0, 0, 0, -1] }],
      },
    ],
    PerFrameFunctionalGroupsSequence: heights.map((height, i) => ({
      PlanePositionSequence: [{ ImagePositionPatient: [-height, 1, 2] }],
      PixelValueTransformationSequence: [{ RescaleSlope: 1, RescaleIntercept: 100 * i }],
    })),
  })
  const { volume, slices } = await seriesToVolume([enhanced])
  // The normal of this sagittal image points to the right: (0,1,0) × (0,0,-1) = (-1,0,0).
  assert.deepEqual(
    slices.map(({ frame }) => frame),
    [0, 2, 1],
  )
  assert.deepEqual(volume.shape, [3, ROWS, COLUMNS])
  assert.deepEqual(volume.affine, [3, 0, 0, 5, 0, 0, -0.5, -1, 0, -0.75, 0, 2, 0, 0, 0, 1])
  assert.deepEqual(
    [0, 1, 2].map((z) => volume.data[z * ROWS * COLUMNS]),
    [0, 30 + 200, 15 + 100],
  )
})

const REFUSED: Record<string, [instances: () => ReturnType<typeof series>, reason: RegExp]> = {
  'no slices': [() => [], /no instance/],
  'a single slice': [() => series(1), /single slice, instance 1 \(12\.50 mm\)/],
  'two slices at one place': [
    () => series(4, (n) => (n === 3 ? { ImagePositionPatient: [-20, -30, 15] } : {})),
    /same place: instance 2 \(15\.00 mm\) and instance 3 \(15\.00 mm\)/,
  ],
  'a missing slice': [
    () => series(6).filter(({ instanceNumber }) => instanceNumber !== 4),
    /missing: neighbours are 2\.50 mm apart, but there are 5\.00 mm between instance 3 \(17\.50 mm\) and instance 5 \(22\.50 mm\)/,
  ],
  'uneven steps': [
    () => series(5, (n) => (n === 3 ? { ImagePositionPatient: [-20, -30, 18.1] } : {})),
    /unevenly spaced: 1\.90 to 3\.10 mm apart\. Off even steps of 2\.50 mm: instance 3 \(18\.10 mm\)/,
  ],
  'a tilted gantry': [
    () => series(3, (n) => ({ ImagePositionPatient: [-20, -30 + 0.4 * n, 10 + 2 * n] })),
    /by 0\.80 mm over 4\.00 mm \(11\.3 degrees\): the gantry was tilted.*instance 2 \(14\.00 mm\), instance 3 \(16\.00 mm\)/,
  ],
  'mixed sizes': [
    () => series(4, (n) => (n === 2 ? { Rows: 5, Columns: 3 } : {})),
    /mixes sizes: 3×5 in 3 slices, but 5×3 in instance 2/,
  ],
  'mixed orientations': [
    () => series(4, (n) => (n === 4 ? { ImageOrientationPatient: [0, 1, 0, 0, 0, -1] } : {})),
    /mixes orientations: 1\\0\\0\\0\\1\\0 in 3 slices, but 0\\1\\0\\0\\0\\-1 in instance 4/,
  ],
  'mixed pixel spacings': [
    () => series(4, (n) => (n === 1 ? { PixelSpacing: [0.75, 0.6] } : {})),
    /mixes pixel spacings: .* in instance 1/,
  ],
  'a localizer among slices': [
    () => series(3, (n) => (n === 2 ? { ImageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] } : {})),
    /instance 2 are localizers/,
  ],
  'no position': [
    () => series(3, (n) => (n === 3 ? { ImagePositionPatient: null } : {})),
    /instance 3 have no ImagePositionPatient/,
  ],
  'no orientation': [
    () => series(3, () => ({ ImageOrientationPatient: null })),
    /1, instance 2, instance 3 have no ImageO/,
  ],
  'no spacing': [() => series(3, () => ({ PixelSpacing: null })), /have no PixelSpacing/],
  'spacing on the detector only': [
    () => series(3, () => ({ PixelSpacing: null, ImagerPixelSpacing: [0.1, 0.2] })),
    /have no PixelSpacing/,
  ],
  'directions askew': [
    () => series(3, () => ({ ImageOrientationPatient: [1, 0, 0, 0.2, 0.9, 0] })),
    /not two unit vectors at a right angle/,
  ],
  colour: [
    () =>
      series(2, () => ({
        ...{
          PhotometricInterpretation: 'RGB',
          SamplesPerPixel: 3,
          BitsAllocated: 8,
          BitsStored: 8,
          HighBit: 7,
        },
        PixelData: new Uint8Array(ROWS * COLUMNS * 3 + 1),
      })),
    /instance 1, instance 2 are not grey/,
  ],
  'a report among slices': [
    () => series(3, (n) => (n === 2 ? { PixelData: null } : {})),
    /instance 2 hold no pixels/,
  ],
}

for (const [name, [instances, reason]] of Object.entries(REFUSED))
  test(`refused, with the slices named: ${name}`, () => {
    assert.throws(
      () => planSeries(instances()),
      (error) => {
        assert.ok(error instanceof ImageError, String(error))
        assert.match(error.reason, reason)
        return true
      },
    )
  })

test('positions rounded to a hundredth of a millimetre are no unevenness', () => {
  const rounded = series(40, (n) => ({ ImagePositionPatient: [-20, -30, Number((0.625 * n).toFixed(2))] }))
  assertClose(planSeries(rounded).affine.slice(8, 9), [0.625], 1e-3)
})
