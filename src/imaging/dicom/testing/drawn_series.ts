// Series for tests of masks: a real one where it is there, and an oblique one whose files come in reverse order.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Grid } from '../../geometry/grid.ts'
import { readDicomInstance } from '../instance.ts'
import { planSeries, type SeriesPlan } from '../series.ts'
import type { DicomAttributes } from '../write.ts'
import { greySlice } from './slices.ts'

export interface DrawnSeries {
  /** As a folder would give them. */
  files: Uint8Array[]
  plan: SeriesPlan
}

const FOLDER = join(import.meta.dirname, '../../../../../shared/data/dicom/series_mr_hippocrop')

/** For node:test: false when the real series is there, else why not. */
export const skipWithoutSeries: false | string = existsSync(FOLDER)
  ? false
  : 'the DICOM series of ../shared/data is not here'

/** 32 slices of 51 × 35, straight. */
export function realSeries(): DrawnSeries {
  const files = readdirSync(FOLDER).map((name) => new Uint8Array(readFileSync(join(FOLDER, name))))
  return { files, plan: planSeries(files.map((bytes) => readDicomInstance(bytes))) }
}

const NUM_SLICES = 6
const STEP = 2.5

/**
 * 6 slices of 7 × 9, turned about two axes, 0.75 × 0.5 mm, 2.5 mm apart; the higher an instance's number, the lower
 * it lies.
 */
export function obliqueSeries(changes: DicomAttributes = {}): DrawnSeries {
  const [a, b] = [0.3, -0.2]
  const row = [Math.cos(a), Math.sin(a), 0]
  const column = [-Math.sin(a) * Math.cos(b), Math.cos(a) * Math.cos(b), Math.sin(b)]
  const normal = [
    row[1]! * column[2]! - row[2]! * column[1]!,
    row[2]! * column[0]! - row[0]! * column[2]!,
    row[0]! * column[1]! - row[1]! * column[0]!,
  ]
  const files = Array.from({ length: NUM_SLICES }, (_, i) =>
    greySlice({
      InstanceNumber: i + 1,
      PatientName: 'Test^Öblique',
      StudyDate: '20260102',
      FrameOfReferenceUID: '1.2.3.9',
      ImageOrientationPatient: [...row, ...column],
      ImagePositionPatient: [12, -40, 71].map((mm, k) => mm - i * STEP * normal[k]!),
      SliceThickness: STEP,
      Rows: 7,
      Columns: 9,
      PixelData: new Uint8Array(Int16Array.from({ length: 63 }, (_, k) => 1000 * i + k).buffer),
      ...changes,
    }),
  )
  return { files, plan: planSeries(files.map((bytes) => readDicomInstance(bytes))) }
}

/** A mask of nested boxes: 1 around 2 around 3, each in fewer slices; the first and last slice are empty. */
export function nestedBoxes({ shape, affine }: Grid) {
  const [depth, height, width] = shape
  const data = new Uint8Array(depth * height * width)
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const inset = Math.min(2 * z, 2 * (depth - 1 - z), y + 1, height - 1 - y, x, width - x)
        data[(z * height + y) * width + x] = Math.max(0, Math.min(3, inset))
      }
  return { data, channels: 1, shape, affine }
}
