import type { Grid } from '../geometry/grid.ts'
import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'
import type { DataSet } from './data_set.ts'
import { checkFrameOfReference } from './frame_of_reference.ts'
import { type FrameFacts, frameFacts } from './functional_groups.ts'
import { chosenStructures, type DrawnMask, MaskPainter, type MaskValues } from './mask_painter.ts'
import { parseDicom } from './parse.ts'
import { type PlaneOnGrid, planeOnGrid } from './plane_on_grid.ts'
import { frameReader, type SegmentationFormat, segmentationFormat } from './seg_pixels.ts'
import type { SeriesPlan } from './series.ts'

/**
 * The mask that a DICOM Segmentation holds, on the grid of the series it was drawn on: binary, fractional (from one
 * half on) or a label map. Frames are placed by their positions, whatever their order; their rows and columns may run
 * in other directions than those of the series, as some tools write, and may cover a part of it.
 *
 * @param values segment label → value in the mask; all segments under their own numbers unless given
 * @throws {ImageError} if the file is no segmentation or damaged, or lies on another grid than the series
 * @see DICOM PS3.3, C.8.20
 */
export async function readSegmentation(
  bytes: Uint8Array,
  series: Pick<SeriesPlan, 'slices' | 'shape' | 'affine'>,
  values?: MaskValues,
): Promise<DrawnMask> {
  const file = parseDicom(bytes)
  const { dataSet } = file
  const format = segmentationFormat(dataSet)
  checkFrameOfReference(dataSet.string('FrameOfReferenceUID'), series.slices, 'segmentation')
  const described = segmentsOf(dataSet)
  const chosen = chosenStructures(
    // A label map may describe its background, as segment 0.
    described.filter(({ number }) => number !== 0),
    values,
    ({ number }) => number,
  )
  const numbers = new Set(described.map(({ number }) => number))
  const frames = placedFrames(dataSet, format, series, numbers)
  const readFrame = await frameReader(file, format)
  const painter = new MaskPainter(series)
  const numOutside =
    format.type === 'LABELMAP'
      ? paintLabels(painter, chosen, numbers, frames, readFrame)
      : paintSegments(painter, chosen, frames, readFrame, format.maximum / 2)
  const note = `Voxels of the segmentation lie outside of the series and were left out: ${numOutside}.`
  return painter.mask(numOutside === 0 ? [] : [note])
}

interface Segment {
  name: string
  number: number
}

function segmentsOf(dataSet: DataSet): Segment[] {
  const segments = dataSet.items('SegmentSequence').map((item) => {
    const number = item.integer('SegmentNumber', 0)
    if (number === null) throw damaged('a segment has no SegmentNumber')
    return { number, name: item.string('SegmentLabel') ?? `segment ${number}` }
  })
  const numbers = new Set(segments.map(({ number }) => number))
  if (numbers.size < segments.length) throw damaged('two segments have the same SegmentNumber')
  return segments
}

interface PlacedFrame {
  index: number
  /** 0 of a label map. */
  segment: number
  plane: PlaneOnGrid
}

function placedFrames(
  dataSet: DataSet,
  format: SegmentationFormat,
  grid: Grid,
  numbers: ReadonlySet<number>,
): PlacedFrame[] {
  const facts = frameFacts(dataSet)
  if (facts.length !== format.numFrames)
    throw damaged(`the header says ${format.numFrames} frames, but describes ${facts.length}`)
  const taken = new Set<string>()
  return facts.map((frame, index) => {
    const segment = format.type === 'LABELMAP' ? 0 : segmentNumber(frame, index, numbers)
    const plane = planeOnGrid(placeOf(frame, index), format, grid, `Frame ${index + 1} of the segmentation`)
    const key = `${segment} ${plane.slice}`
    if (taken.has(key))
      throw damaged(`frame ${index + 1} is a second one of the same segment at the same place`)
    taken.add(key)
    return { index, segment, plane }
  })
}

function segmentNumber(frame: FrameFacts, index: number, numbers: ReadonlySet<number>): number {
  const number = frame.group('SegmentIdentificationSequence').integer('ReferencedSegmentNumber', 1)
  if (number === null) throw damaged(`frame ${index + 1} names no segment`)
  if (!numbers.has(number))
    throw damaged(`frame ${index + 1} names segment ${number}, which is not described`)
  return number
}

function placeOf(frame: FrameFacts, index: number) {
  const position = frame.group('PlanePositionSequence').numbers('ImagePositionPatient')
  const orientation = frame.group('PlaneOrientationSequence').numbers('ImageOrientationPatient')
  const spacing = frame.group('PixelMeasuresSequence').numbers('PixelSpacing')
  if (position.length === 3 && orientation.length === 6 && spacing.length === 2)
    return { position, orientation, spacing }
  throw damaged(`frame ${index + 1} lacks its position, orientation or pixel spacing`)
}

type Chosen = Segment & { value: number }
type ReadFrame = (index: number) => Voxels

/** @returns how many voxels lie outside of the grid */
function paintSegments(
  painter: MaskPainter,
  chosen: readonly Chosen[],
  frames: readonly PlacedFrame[],
  readFrame: ReadFrame,
  least: number,
): number {
  let numOutside = 0
  const bySegment = Map.groupBy(frames, ({ segment }) => segment)
  for (const { name, number, value } of chosen) {
    const structure = painter.begin(name, value)
    for (const { index, plane } of bySegment.get(number) ?? [])
      numOutside += overVoxels(plane, readFrame(index), least, (_, at) => painter.paint(structure, at))
  }
  return numOutside
}

/** @returns how many voxels lie outside of the grid */
function paintLabels(
  painter: MaskPainter,
  chosen: readonly Chosen[],
  numbers: ReadonlySet<number>,
  frames: readonly PlacedFrame[],
  readFrame: ReadFrame,
): number {
  let numOutside = 0
  const byNumber = new Map(chosen.map(({ name, number, value }) => [number, painter.begin(name, value)]))
  for (const { index, plane } of frames)
    numOutside += overVoxels(plane, readFrame(index), 1, (number, at) => {
      const structure = byNumber.get(number)
      if (structure !== undefined) painter.paint(structure, at)
      else if (!numbers.has(number))
        throw damaged(`frame ${index + 1} holds segment ${number}, which is not described`)
    })
  return numOutside
}

/** Calls back for each voxel of at least `least` that lies on the grid; how many do not. */
function overVoxels(
  { start, alongRow, alongColumn, rows, columns, shape }: PlaneOnGrid,
  stored: Voxels,
  least: number,
  visit: (voxel: number, at: number) => void,
): number {
  let numOutside = 0
  for (let i = 0, from = 0; i < rows; i++)
    for (let j = 0; j < columns; j++, from++) {
      const voxel = stored[from]!
      if (!(voxel >= least)) continue
      const z = start[0] + i * alongColumn[0] + j * alongRow[0]
      const y = start[1] + i * alongColumn[1] + j * alongRow[1]
      const x = start[2] + i * alongColumn[2] + j * alongRow[2]
      const isInside = z >= 0 && y >= 0 && x >= 0 && z < shape[0] && y < shape[1] && x < shape[2]
      if (isInside) visit(voxel, (z * shape[1] + y) * shape[2] + x)
      else numOutside++
    }
  return numOutside
}

function damaged(what: string): ImageError {
  return new ImageError(
    `The DICOM segmentation is damaged or was written wrongly: ${what}.`,
    'export it again, or leave it out.',
  )
}
