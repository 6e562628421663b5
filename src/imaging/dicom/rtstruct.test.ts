import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { randomSource } from '../testing/samples.ts'
import { type Contour, fillEvenOdd } from './contour_fill.ts'
import { readDicomInstance } from './instance.ts'
import { readStructureSet } from './rtstruct.ts'
import { planSeries, type SeriesPlan } from './series.ts'
import { obliqueSeries } from './testing/drawn_series.ts'
import { greySlice } from './testing/slices.ts'
import { type DicomAttributes, decimalString, writeDicom } from './write.ts'

type Point = readonly [y: number, x: number]

/** Four slices of 90 × 150 pixels, 0.75 × 0.5 mm, 2.5 mm apart. */
const STRAIGHT = planSeries(
  [1, 2, 3, 4].map((number) =>
    readDicomInstance(
      greySlice({
        InstanceNumber: number,
        FrameOfReferenceUID: '1.2.3.9',
        Rows: 90,
        Columns: 150,
        PixelData: new Uint8Array(2 * 90 * 150),
      }),
    ),
  ),
)

/** A closed contour in a slice of a series, given in index units; z may lie between slices. */
function contour({ slices }: SeriesPlan, z: number, points: readonly Point[]): DicomAttributes {
  const { position, orientation, spacing } = slices[0]!.place
  const step = slices[1]!.place.position.map((mm, k) => mm - position[k]!)
  const data = points.flatMap(([y, x]) =>
    [0, 1, 2].map(
      (k) =>
        position[k]! + z * step[k]! + y * spacing[0] * orientation[k + 3]! + x * spacing[1] * orientation[k]!,
    ),
  )
  return { ContourGeometricType: 'CLOSED_PLANAR', NumberOfContourPoints: points.length, ContourData: data }
}

/** A structure set of the ROIs named, numbered from 11. */
function structureSet(
  rois: Record<string, readonly DicomAttributes[]>,
  frameOfReference = '1.2.3.9',
  vrs: { ContourData?: 'UN' } = {},
): Uint8Array {
  const attributes: DicomAttributes = {
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.481.3',
    SOPInstanceUID: '1.2.3',
    Modality: 'RTSTRUCT',
    StructureSetROISequence: Object.keys(rois).map((name, i) => ({
      ROINumber: 11 + i,
      ROIName: name,
      ReferencedFrameOfReferenceUID: frameOfReference,
    })),
    // In another order than they are described in.
    ROIContourSequence: Object.values(rois)
      .map((contours, i) => ({ ReferencedROINumber: 11 + i, ContourSequence: [...contours] }))
      .reverse(),
  }
  return writeDicom(attributes, { vrs })
}

const rectangle = (top: number, left: number, bottom: number, right: number): Point[] => [
  [top, left],
  [top, right],
  [bottom, right],
  [bottom, left],
]

/** A circle about a point, in index units of a pixel 0.75 mm high and 0.5 mm wide. */
const circle = (y: number, x: number, radiusMm: number, numPoints = 720): Point[] =>
  Array.from({ length: numPoints }, (_, i) => {
    const angle = (2 * Math.PI * i) / numPoints
    return [y + (radiusMm * Math.sin(angle)) / 0.75, x + (radiusMm * Math.cos(angle)) / 0.5]
  })

function area(plan: SeriesPlan, contours: readonly DicomAttributes[]): number {
  return readStructureSet(structureSet({ a: contours }), plan).structures[0]!.voxels * 0.75 * 0.5
}

test('the area of a circle is within one percent of its formula', () => {
  for (const radius of [8, 20, 30]) {
    const found = area(STRAIGHT, [contour(STRAIGHT, 1, circle(44.3, 74.9, radius))])
    const expected = Math.PI * radius ** 2
    assert.ok(Math.abs(found / expected - 1) < 0.01, `${found} mm², not ${expected}`)
  }
})

test('a contour too long for its type, as writers then do of unknown type, is read all the same', () => {
  const { ContourData, ...rest } = contour(STRAIGHT, 1, circle(44.3, 74.9, 20, 5000))
  const text = new TextEncoder().encode((ContourData as number[]).map(decimalString).join('\\'))
  assert.ok(text.length > 0xffff)
  const padded = new Uint8Array(text.length + (text.length % 2)).fill(0x20)
  padded.set(text)
  const bytes = structureSet({ a: [{ ...rest, ContourData: padded }] }, '1.2.3.9', { ContourData: 'UN' })
  const found = readStructureSet(bytes, STRAIGHT).structures[0]!.voxels * 0.75 * 0.5
  assert.ok(Math.abs(found / (Math.PI * 20 ** 2) - 1) < 0.01, `${found} mm²`)
})

test('a rectangle between pixels covers exactly those within, in its slice alone', () => {
  const drawn = [contour(STRAIGHT, 2, rectangle(3.5, 10.5, 7.5, 20.5))]
  const { volume } = readStructureSet(structureSet({ a: drawn }), STRAIGHT)
  const expected = new Uint8Array(volume.data.length)
  for (let y = 4; y <= 7; y++) for (let x = 11; x <= 20; x++) expected[(2 * 90 + y) * 150 + x] = 1
  assert.deepEqual(volume.data, expected)
})

test('of pixels whose centres lie on an edge, the upper and the left ones are inside', () => {
  const drawn = [contour(STRAIGHT, 0, rectangle(3, 10, 7, 20))]
  const { volume } = readStructureSet(structureSet({ a: drawn }), STRAIGHT)
  const inside = [...volume.data.entries()].flatMap(([i, value]) => (value ? [i] : []))
  assert.equal(inside.length, 4 * 10)
  assert.deepEqual([inside[0], inside.at(-1)], [3 * 150 + 10, 6 * 150 + 19])
})

test('a ring is the same as two contours, whichever comes first, and as one with a channel', () => {
  const [outer, inner] = [circle(44.3, 74.9, 25), circle(44.3, 74.9, 10)]
  const ring = (...contours: Point[][]) =>
    readStructureSet(structureSet({ a: contours.map((points) => contour(STRAIGHT, 1, points)) }), STRAIGHT)
  const two = ring(outer, inner)
  const found = two.structures[0]!.voxels * 0.75 * 0.5
  const expected = Math.PI * (25 ** 2 - 10 ** 2)
  assert.ok(Math.abs(found / expected - 1) < 0.01, `${found} mm², not ${expected}`)
  assert.deepEqual(ring(inner, outer).volume, two.volume)
  // Out along the circle, in through the channel, back along the hole, out through the channel.
  const keyhole = [...outer, outer[0]!, inner[0]!, ...inner.toReversed(), outer[0]!]
  assert.deepEqual(ring(keyhole).volume, two.volume)
})

test('on an oblique series whose slices are numbered backwards, contours land in their slices', () => {
  const { plan } = obliqueSeries()
  const drawn = [1, 4].map((z) => contour(plan, z, rectangle(1.5, 2.5, 4.5, 6.5)))
  const { volume } = readStructureSet(structureSet({ a: drawn }), plan)
  const expected = new Uint8Array(volume.data.length)
  for (const z of [1, 4])
    for (let y = 2; y <= 4; y++) for (let x = 3; x <= 6; x++) expected[(z * 7 + y) * 9 + x] = 1
  assert.deepEqual(volume, { data: expected, channels: 1, shape: plan.shape, affine: plan.affine })
})

test('what lies outside of the image is clipped', () => {
  const drawn = [
    contour(STRAIGHT, 1, rectangle(-40, -10.5, 4.5, 400)),
    contour(STRAIGHT, 3, rectangle(-9, 3, -2, 9)),
  ]
  const { structures } = readStructureSet(structureSet({ a: drawn }), STRAIGHT)
  assert.equal(structures[0]!.voxels, 5 * 150)
})

test('structures are numbered in their order, or chosen by name; the higher value wins an overlap', () => {
  const bytes = structureSet({
    body: [contour(STRAIGHT, 1, rectangle(9.5, 9.5, 29.5, 29.5))],
    empty: [],
    organ: [contour(STRAIGHT, 1, rectangle(19.5, 19.5, 39.5, 39.5))],
  })
  const all = readStructureSet(bytes, STRAIGHT)
  assert.deepEqual(all.structures, [
    { name: 'body', value: 1, voxels: 400 },
    { name: 'empty', value: 2, voxels: 0 },
    { name: 'organ', value: 3, voxels: 400 },
  ])
  assert.deepEqual(all.overlaps, [{ lost_by: 'body', won_by: 'organ', voxels: 100 }])
  const chosen = readStructureSet(bytes, STRAIGHT, { organ: 1, body: 2 })
  assert.deepEqual(chosen.overlaps, [{ lost_by: 'organ', won_by: 'body', voxels: 100 }])
  assert.equal(chosen.volume.data.filter((value) => value === 2).length, 400)
  assert.throws(() => readStructureSet(bytes, STRAIGHT, { liver: 1 }), /no structure "liver"; it has "body"/)
})

test('what encloses nothing, or lies beyond the slices, is left out and named', () => {
  const point = { ...contour(STRAIGHT, 1, [[5, 5]]), ContourGeometricType: 'POINT' }
  const drawn = [
    contour(STRAIGHT, 1, rectangle(3.5, 3.5, 5.5, 5.5)),
    contour(STRAIGHT, 4, rectangle(3.5, 3.5, 5.5, 5.5)),
    contour(STRAIGHT, 2, [
      [1, 1],
      [9, 9],
    ]),
  ]
  const { structures, notes } = readStructureSet(structureSet({ a: [...drawn, point] }), STRAIGHT)
  assert.equal(structures[0]!.voxels, 4)
  assert.deepEqual(notes, [
    'Of "a", contours beyond the first or last slice were left out: 1.',
    'Of "a", contours of fewer than three points were left out: 1.',
    'Of "a", contours of type POINT were left out: 1.',
  ])
})

test('contours that are not those of the slices are refused with their positions', () => {
  const box = rectangle(3.5, 3.5, 5.5, 5.5)
  const flat = contour(STRAIGHT, 1, box)
  const tilted = [...(flat.ContourData as number[])]
  tilted[2]! += 2
  const cases: [Record<string, DicomAttributes[]>, RegExp][] = [
    [
      { a: [contour(STRAIGHT, 1.5, box), contour(STRAIGHT, 2.5, box)] },
      /"a" lie halfway between slices: at 16\.25 mm, 18\.75 mm; the slices next to the first are at 15\.00 mm and 17\.50 mm/,
    ],
    [
      { a: [contour(STRAIGHT, 0.8, box), contour(STRAIGHT, 1.2, box)] },
      /"a" lie in several planes, at 14\.50 mm, 15\.50 mm, that are all nearest to the slice at 15\.00 mm/,
    ],
    [
      { a: [{ ...flat, ContourData: tilted }] },
      /Contour 1 of "a" does not lie in the plane of a slice: .* 15\.00 mm to 17\.00 mm/,
    ],
    [{ a: [{ ...flat, NumberOfContourPoints: 5 }] }, /contour 1 of "a" holds 12 coordinates, where 5 points/],
    [{ a: [{ ...flat, ContourData: tilted.slice(1) }] }, /holds 11 coordinates/],
    [{ a: [contour(STRAIGHT, 1, [...box, [0, 1e12]])] }, /a point of Contour 1 of "a" lies/],
    [{}, /is no structure set, or one without structures \(modality RTSTRUCT\)/],
  ]
  for (const [rois, reason] of cases)
    assert.throws(
      () => readStructureSet(structureSet(rois), STRAIGHT),
      (error) => {
        assert.ok(error instanceof ImageError, String(error))
        assert.match(error.reason, reason)
        return true
      },
    )
  assert.throws(
    () => readStructureSet(structureSet({ a: [flat] }, '1.2.3.8'), STRAIGHT),
    /structure set was drawn in another frame of reference/,
  )
})

test('a contour within half a slice of one belongs to it', () => {
  const drawn = [
    contour(STRAIGHT, 0.6, rectangle(3.5, 3.5, 5.5, 5.5)),
    contour(STRAIGHT, 2.49, rectangle(3.5, 3.5, 5.5, 6.5)),
  ]
  const { volume } = readStructureSet(structureSet({ a: drawn }), STRAIGHT)
  const inSlice = (z: number) => volume.data.subarray(z * 90 * 150, (z + 1) * 90 * 150).filter(Boolean).length
  assert.deepEqual([0, 1, 2, 3].map(inSlice), [0, 4, 6, 0])
})

test('random polygons that cross themselves fill as rays along columns say, counted point by point', () => {
  const next = randomSource(3)
  const coordinate = (size: number) => (next() / 2 ** 32) * 1.4 * size - 0.2 * size
  for (let round = 0; round < 200; round++) {
    const contours: Contour[] = Array.from({ length: 1 + (next() % 3) }, () =>
      Float64Array.from({ length: 2 * (3 + (next() % 9)) }, (_, i) => coordinate(i % 2 === 0 ? 13 : 17)),
    )
    const found = new Set<number>()
    fillEvenOdd(contours, 13, 17, (y, x) => found.add(y * 17 + x))
    for (let y = 0; y < 13; y++)
      for (let x = 0; x < 17; x++)
        assert.equal(found.has(y * 17 + x), isInside(contours, y, x), `round ${round} at ${y}, ${x}`)
  }
})

/** A ray from the point along its column crosses an odd number of edges. */
function isInside(contours: readonly Contour[], y: number, x: number): boolean {
  let crossings = 0
  for (const points of contours)
    for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
      const [ya, xa, yb, xb] = [points[i]!, points[i + 1]!, points[j]!, points[j + 1]!]
      if (xa > x !== xb > x && y < ya + ((x - xa) * (yb - ya)) / (xb - xa)) crossings++
    }
  return crossings % 2 === 1
}
