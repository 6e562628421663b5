import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { randomSource } from '../testing/samples.ts'
import { readDicomInstance } from './instance.ts'
import type { DrawnMask } from './mask_painter.ts'
import { readStructureSet } from './rtstruct.ts'
import { readSegmentation } from './seg_read.ts'
import { writeSegmentation } from './seg_write.ts'
import { planSeries, type SeriesPlan } from './series.ts'
import { nestedBoxes, obliqueSeries } from './testing/drawn_series.ts'
import { type DicomAttributes, writeDicom } from './write.ts'

const ROUNDS = 10_000
const { plan, files } = obliqueSeries()
const NUM_VOXELS = plan.shape[0] * plan.shape[1] * plan.shape[2]

test('whatever bytes change in a segmentation, it becomes a mask or an ImageError, soon, and in bounded memory', () =>
  survives(written(plan), (bytes) => readSegmentation(bytes, plan), 11))

test('whatever bytes change in a structure set, it becomes a mask or an ImageError, soon, and in bounded memory', () =>
  survives(structureSet(), async (bytes) => readStructureSet(bytes, plan), 12))

test('whatever bytes change in a series, its mask is written, and read back, or an ImageError says why not', () =>
  survives(
    files[2]!,
    async (bytes) => {
      const series = planSeries(files.map((file, i) => readDicomInstance(i === 2 ? bytes : file)))
      return readSegmentation(written(series), series)
    },
    13,
  ))

async function survives(
  valid: Uint8Array,
  read: (bytes: Uint8Array) => Promise<DrawnMask>,
  seed: number,
): Promise<void> {
  const next = randomSource(seed)
  const counts = { read: 0, refused: 0 }
  let slowest = { milliseconds: 0, round: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const mutated = mutate(valid.slice(), next)
    const start = performance.now()
    try {
      const { volume, structures } = await read(mutated)
      assert.equal(volume.data.length, NUM_VOXELS)
      const values = new Set(structures.map(({ value }) => value))
      assert.ok(volume.data.every((value) => value === 0 || values.has(value)))
      counts.read++
    } catch (error) {
      if (!(error instanceof ImageError)) throw new Error(`round ${round}`, { cause: error })
      counts.refused++
    }
    const milliseconds = performance.now() - start
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, round }
  }
  assert.ok(slowest.milliseconds < 2000, JSON.stringify(slowest))
  assert.ok(counts.read > 500 && counts.refused > 500, JSON.stringify(counts))
  assert.ok(process.resourceUsage().maxRSS < 1e6, `${process.resourceUsage().maxRSS} kB`)
}

/** A few bytes changed, digits among them; or the file cut short; or a piece of it doubled. */
function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const kind = next() % 10
  if (kind === 0) return bytes.slice(0, next() % bytes.length)
  if (kind === 1) {
    const at = next() % bytes.length
    const piece = bytes.subarray(at, at + 2 * (next() % 32))
    return new Uint8Array(Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]))
  }
  const numChanges = 1 + (next() % 4)
  for (let i = 0; i < numChanges; i++) {
    const at = 132 + (next() % (bytes.length - 132))
    bytes[at] = VALUES[next() % (VALUES.length + 1)] ?? next()
  }
  return bytes
}

const VALUES = [0, 1, 0x7f, 0x80, 0xff, ...new TextEncoder().encode('09-eE.\\ ')]

function written(series: SeriesPlan): Uint8Array {
  let number = 0
  return writeSegmentation({
    mask: nestedBoxes(series),
    structures: [
      { name: 'whole', values: [1, 2, 3] },
      { name: 'core', values: [2, 3] },
    ],
    series,
    model: { name: 'nested', version: '3', digest: 'ab'.repeat(32) },
    created: new Date(2026, 0, 2),
    newUid: () => `2.25.${++number}`,
  })
}

function structureSet(): Uint8Array {
  const contour = (z: number, inset: number): DicomAttributes => {
    const { position, orientation, spacing } = plan.slices[z]!.place
    const corners = [
      [inset, inset],
      [inset, 8 - inset],
      [6 - inset, 8 - inset],
      [6 - inset, inset],
    ] as const
    return {
      ContourGeometricType: 'CLOSED_PLANAR',
      NumberOfContourPoints: corners.length,
      ContourData: corners.flatMap(([y, x]) =>
        position.map((mm, k) => mm + y * spacing[0] * orientation[k + 3]! + x * spacing[1] * orientation[k]!),
      ),
    }
  }
  return writeDicom({
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.481.3',
    SOPInstanceUID: '1.2.3',
    Modality: 'RTSTRUCT',
    StructureSetROISequence: ['ring', 'disc'].map((ROIName, i) => ({ ROINumber: i + 1, ROIName })),
    ROIContourSequence: [1, 2].map((ReferencedROINumber) => ({
      ReferencedROINumber,
      ContourSequence: [1, 2, 3].flatMap((z) =>
        [contour(z, 0.5), contour(z, 1.5)].slice(ReferencedROINumber - 1),
      ),
    })),
  })
}
