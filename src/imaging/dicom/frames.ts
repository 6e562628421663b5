import { ImageError } from '../image_error.ts'
import type { DataSet, Element } from './data_set.ts'

/**
 * The encoded bytes of each frame of encapsulated pixel data. Frames are found by the extended offset table, else
 * by the basic one, else a fragment is a frame, else frames begin where a fragment starts as a codestream does.
 *
 * @throws {ImageError} if the pixel data is not encapsulated or its fragments don't make `numFrames` frames
 * @see DICOM PS3.5, A.4
 */
export function encapsulatedFrames(dataSet: DataSet, numFrames: number): Uint8Array[] {
  const [table, ...fragments] = dataSet.element('PixelData')?.fragments ?? []
  if (table === undefined || fragments.length === 0)
    throw new ImageError(
      'The DICOM file says that its pixels are compressed, but they hold no compressed frame.',
      'copy it again, or export it uncompressed.',
    )
  if (numFrames === 1) return [joined(dataSet, fragments)]
  const extended = extendedTable(dataSet)
  if (extended !== null) return byExtendedTable(dataSet, fragments, extended, numFrames)
  const starts = table.length >= 4 ? basicTable(dataSet, table) : null
  const groups =
    starts !== null
      ? byOffsets(fragments, starts)
      : fragments.length === numFrames
        ? fragments.map((fragment) => [fragment])
        : byCodestreams(dataSet, fragments)
  if (groups.length !== numFrames) throw mismatch(groups.length, numFrames)
  return groups.map((group) => joined(dataSet, group))
}

type Fragment = NonNullable<Element['fragments']>[number]

function extendedTable(dataSet: DataSet): { offsets: number[]; lengths: number[] } | null {
  if (!dataSet.has('ExtendedOffsetTable') || !dataSet.has('ExtendedOffsetTableLengths')) return null
  return {
    offsets: dataSet.numbers('ExtendedOffsetTable'),
    lengths: dataSet.numbers('ExtendedOffsetTableLengths'),
  }
}

function byExtendedTable(
  dataSet: DataSet,
  fragments: readonly Fragment[],
  { offsets, lengths }: { offsets: number[]; lengths: number[] },
  numFrames: number,
): Uint8Array[] {
  if (offsets.length !== numFrames || lengths.length !== numFrames) throw mismatch(offsets.length, numFrames)
  const first = fragments[0]!.offset
  const byOffset = new Map(fragments.map((fragment) => [fragment.offset - first, fragment]))
  return offsets.map((offset, i) => {
    const fragment = byOffset.get(offset)
    const length = lengths[i]!
    if (fragment === undefined || length > fragment.length) throw badOffset(i)
    return dataSet.bytes.subarray(fragment.offset, fragment.offset + length)
  })
}

function basicTable({ bytes }: DataSet, { offset, length }: Fragment): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length)
  return Array.from({ length: Math.floor(length / 4) }, (_, i) => view.getUint32(i * 4, true))
}

/** Fragments from each offset to the next; offsets count from the first fragment's item tag. */
function byOffsets(fragments: readonly Fragment[], starts: readonly number[]): Fragment[][] {
  const first = fragments[0]!.offset
  const indexOf = new Map(fragments.map((fragment, i) => [fragment.offset - first, i]))
  const indices = starts.map((start, i) => {
    const index = indexOf.get(start)
    if (index === undefined) throw badOffset(i)
    return index
  })
  return indices.map((index, i) => {
    const group = fragments.slice(index, indices[i + 1] ?? fragments.length)
    if (group.length === 0) throw badOffset(i)
    return group
  })
}

/** A frame begins at each fragment that starts as JPEG, JPEG-LS (FF D8) or a JPEG 2000 codestream (FF 4F) does. */
function byCodestreams({ bytes }: DataSet, fragments: readonly Fragment[]): Fragment[][] {
  const groups: Fragment[][] = []
  for (const fragment of fragments) {
    const second = bytes[fragment.offset + 1]
    const isStart = bytes[fragment.offset] === 0xff && (second === 0xd8 || second === 0x4f)
    if (isStart || groups.length === 0) groups.push([fragment])
    else groups.at(-1)!.push(fragment)
  }
  return groups
}

function joined({ bytes }: DataSet, fragments: readonly Fragment[]): Uint8Array {
  const [only] = fragments
  if (fragments.length === 1) return bytes.subarray(only!.offset, only!.offset + only!.length)
  const out = new Uint8Array(fragments.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const { offset, length } of fragments) {
    out.set(bytes.subarray(offset, offset + length), at)
    at += length
  }
  return out
}

function mismatch(found: number, expected: number): ImageError {
  return new ImageError(
    `The DICOM header says ${expected} frames, but the compressed pixels hold ${found}.`,
    'the file is damaged or cut short: copy or export it again.',
  )
}

function badOffset(frame: number): ImageError {
  return new ImageError(
    `The DICOM offset table points frame ${frame + 1} at no fragment of the compressed pixels.`,
    'the file is damaged: copy or export it again.',
  )
}
