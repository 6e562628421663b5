import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRaster } from '#raster'
import { evaluateSegments } from '../evaluate/evaluate_segments.ts'
import { measureMasks } from '../evaluate/measure_masks.ts'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { reorient } from '../imaging/geometry/orientation.ts'
import type { Volume } from '../imaging/volume.ts'
import { REFERENCE_COLOUR } from '../report/overlay.ts'
import { segmentFigures } from './segment_figures.ts'

const LABELS = { lesion: [1] }

/** A small box towards the patient's right and front, near the feet; spacing [z, y, x] in mm, axes running R, A, S. */
function patient([sz, sy, sx]: readonly [number, number, number]): {
  reference: Volume
  prediction: Volume
  image: Volume
} {
  const shape = [60 / sz, 80 / sy, 72 / sx] as const
  const affine = [0, 0, sx, -36, 0, sy, 0, -40, sz, 0, 0, -30, 0, 0, 0, 1]
  const at = (inside: (z: number, y: number, x: number) => number) =>
    Int16Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, i) =>
      inside(
        (Math.floor(i / (shape[1] * shape[2])) + 0.5) * sz,
        ((Math.floor(i / shape[2]) % shape[1]) + 0.5) * sy,
        ((i % shape[2]) + 0.5) * sx,
      ),
    )
  const volume = (data: Int16Array): Volume => ({ data, channels: 1, shape, affine })
  return {
    reference: volume(at((z, y, x) => (z < 20 && y > 60 && x > 56 ? 1 : 0))),
    prediction: volume(at((z, y, x) => (z < 16 && y > 60 && x > 50 ? 1 : 0))),
    image: volume(at((z, y, x) => z + 2 * y + 3 * x)),
  }
}

function evaluationOf({ reference, prediction }: { reference: Volume; prediction: Volume }) {
  const { shape, affine } = reference
  const pair = {
    reference: reference.data,
    prediction: prediction.data,
    shape,
    spacing_mm: voxelSizes(affine),
  }
  const { per_label } = measureMasks(pair, LABELS, 1)
  return evaluateSegments([{ case_id: 'a', patient_id: 'a', attributes: {}, per_label }], {
    labels: LABELS,
    surface_tolerance_mm: 1,
    source: 'made',
    split: 'all',
    bootstrap: 100,
    confidence: 0.95,
    seed: 0,
    subgroups: [],
    test_openings: 0,
  })
}

/** Middle of the reference's outline, as a share of the drawing: [down, across]. */
async function middleOf(png_base64: string): Promise<[number, number]> {
  const { data, height, width } = await decodeRaster(Buffer.from(png_base64, 'base64'))
  const blue = Array.from({ length: height * width }, (_, i) => i).filter((i) =>
    REFERENCE_COLOUR.every((value, k) => data[3 * i + k] === value),
  )
  const mean = (of: (i: number) => number) => blue.reduce((sum, i) => sum + of(i), 0) / blue.length
  return [mean((i) => Math.floor(i / width)) / height, mean((i) => i % width) / width]
}

test('a drawing is the same however the file lays the patient out', async () => {
  for (const spacing of [
    [2, 2, 2],
    [4, 1, 2],
    [2, 1, 4],
  ] as const) {
    const volumes = patient(spacing)
    const evaluation = evaluationOf(volumes)
    const [first, ...others] = await Promise.all(
      ['RAS', 'LPS', 'SRA', 'PIL'].map(async (codes) => {
        const { figures } = await segmentFigures(evaluation, async () => ({
          reference: reorient(volumes.reference, codes),
          prediction: reorient(volumes.prediction, codes),
          image: reorient(volumes.image, codes),
        }))
        return figures[0]!
      }),
    )
    for (const other of others) assert.deepEqual(other, first)
  }
})

test("axial slices have the patient's right on the left and the front at the top", async () => {
  const volumes = patient([2, 2, 2])
  const { figures } = await segmentFigures(evaluationOf(volumes), async () => volumes)
  const [one] = figures
  assert.deepEqual([one!.plane, one!.hasImage, one!.numSlices], ['axial', true, 30])
  const [down, across] = await middleOf(one!.png_base64)
  assert.ok(down < 0.45 && across < 0.45, `${down} ${across}`)
})

test('thick slices are shown as they were scanned: sagittal ones from the right, front on the left, head at the top', async () => {
  const volumes = patient([2, 1, 6])
  const { figures } = await segmentFigures(evaluationOf(volumes), async () => volumes)
  assert.equal(figures[0]!.plane, 'sagittal')
  const [down, across] = await middleOf(figures[0]!.png_base64)
  assert.ok(down > 0.55 && across < 0.45, `${down} ${across}`)
})

test('an image on another grid is left out, and that is told', async () => {
  const volumes = patient([2, 2, 2])
  const image = patient([4, 2, 2]).image
  const { figures, warnings } = await segmentFigures(evaluationOf(volumes), async () => ({
    ...volumes,
    image,
  }))
  assert.equal(figures[0]!.hasImage, false)
  assert.match(warnings.join(), /whose grid is not that of the masks: a\. No metric depends on it/)
})

test('a 2D image is drawn as its file is, in its colours', async () => {
  const [height, width] = [40, 64]
  const pixels = height * width
  const isInside = (i: number, left: number) =>
    Math.floor(i / width) < 10 && i % width >= left && i % width < left + 8
  const flat = (data: Uint8Array, channels = 1): Volume => ({
    data,
    channels,
    shape: [1, height, width],
    affine: [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
    distance_unit: 'px',
  })
  const mask = (left: number) =>
    flat(Uint8Array.from({ length: pixels }, (_, i) => (isInside(i, left) ? 1 : 0)))
  // Red everywhere, with a little green, and no blue.
  const image = flat(
    Uint8Array.from({ length: 3 * pixels }, (_, i) => [200, 40, 0][Math.floor(i / pixels)]!),
    3,
  )
  const [reference, prediction] = [mask(2), mask(4)]
  const { figures } = await segmentFigures(evaluationOf({ reference, prediction }), async () => ({
    reference,
    prediction,
    image,
  }))
  const [{ plane, png_base64, hasImage }] = figures as [(typeof figures)[number]]
  assert.deepEqual([plane, hasImage], ['image', true])
  const drawn = await decodeRaster(Buffer.from(png_base64, 'base64'))
  const [down, across] = await middleOf(png_base64)
  assert.ok(down < 0.4 && across < 0.4, 'top left as in the file, not turned as a patient is')
  const corner = 3 * (drawn.width * drawn.height - 1)
  assert.deepEqual([...drawn.data.subarray(corner, corner + 3)], [200, 40, 0])
})
