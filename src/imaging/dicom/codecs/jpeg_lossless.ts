import { damaged } from './damaged.ts'
import { JpegBits } from './jpeg_bits.ts'
import type { JpegScan } from './jpeg_header.ts'

/**
 * Decodes a scan of the lossless process into `data` [rows, columns, samples]; returns where the scan ended.
 *
 * @see ITU-T T.81, annex H
 */
export function decodeLosslessScan(
  scan: JpegScan,
  bytes: Uint8Array,
  start: number,
  data: Uint8Array | Uint16Array,
): number {
  const { frame, components, pointTransform, predictor, restartInterval } = scan
  const { rows, columns } = frame
  const samples = frame.components.length
  if (frame.components.some(({ h, v }) => h !== frame.components[0]!.h || v !== frame.components[0]!.v))
    throw damaged('JPEG', 'it is lossless with subsampled colours')
  // A sample takes at least one bit.
  if ((bytes.length - start) * 8 < rows * columns * components.length)
    throw damaged('JPEG', 'its compressed data ends too early')
  if (restartInterval % columns !== 0) throw damaged('JPEG', 'it restarts within a row')
  const bits = new JpegBits(bytes, start)
  const mask = 2 ** (frame.precision - pointTransform) - 1
  const first = 2 ** (frame.precision - pointTransform - 1)
  const stride = columns * samples
  const rowsPerRestart = restartInterval / columns
  for (let y = 0; y < rows; y++) {
    const isRestart = y > 0 && rowsPerRestart > 0 && y % rowsPerRestart === 0
    if (isRestart) bits.restart()
    const isTop = y === 0 || isRestart
    for (let x = 0; x < columns; x++)
      for (const { index, dc } of components) {
        const at = y * stride + x * samples + index
        const left = x > 0 ? data[at - samples]! : 0
        const above = isTop ? 0 : data[at - stride]!
        const predicted = isTop
          ? x === 0
            ? first
            : left
          : x === 0
            ? above
            : predict(predictor, left, above, data[at - stride - samples]!)
        const size = bits.symbol(dc)
        if (size > 16) throw damaged('JPEG', 'its compressed data is broken (a difference of too many bits)')
        // Size 16 stands alone for 32768; sums are taken modulo 2^16.
        data[at] = (predicted + (size === 16 ? 32768 : bits.signed(size))) & mask
      }
  }
  return bits.position
}

function predict(predictor: number, left: number, above: number, corner: number): number {
  switch (predictor) {
    case 1:
      return left
    case 2:
      return above
    case 3:
      return corner
    case 4:
      return left + above - corner
    case 5:
      return left + ((above - corner) >> 1)
    case 6:
      return above + ((left - corner) >> 1)
    default:
      return (left + above) >> 1
  }
}
