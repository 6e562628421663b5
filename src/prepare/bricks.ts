import { promisify } from 'node:util'
import { deflate, inflate } from 'node:zlib'
import type { StoredVoxels } from '../imaging/store_volume.ts'

type Triple = readonly [number, number, number]

/** [z, y, x]: half a megabyte of 16-bit voxels, so that a crop inflates little beside itself. */
export const BRICK: [number, number, number] = [32, 64, 64]

/** An array deflated in bricks, channel by channel, z slowest and x fastest; those at the far ends are what is left. */
export interface Bricks {
  bytes: Uint8Array
  /** Where each brick's bytes end. */
  ends: BigInt64Array
}

const [deflateAsync, inflateAsync] = [promisify(deflate), promisify(inflate)]
/** Of zlib: higher ones gain a few per cent on noisy voxels and take several times as long. */
const LEVEL = 1

/** @param shape [C, Z, Y, X], or [Z, Y, X] */
export async function deflateBricks(
  values: StoredVoxels,
  shape: readonly number[],
  brick: Triple,
): Promise<Bricks> {
  const parts: Uint8Array[] = []
  for (const { from, sides } of bricksOf(shape, brick)) {
    const part = new (values.constructor as new (length: number) => StoredVoxels)(
      sides[0] * sides[1] * sides[2],
    )
    for (const { at, source } of rowsOf(from, sides, shape))
      part.set(values.subarray(source, source + sides[2]), at)
    parts.push(await deflateAsync(new Uint8Array(part.buffer), { level: LEVEL }))
  }
  const ends = new BigInt64Array(parts.length)
  let end = 0
  for (const [n, part] of parts.entries()) {
    end += part.length
    ends[n] = BigInt(end)
  }
  const bytes = new Uint8Array(end)
  for (const [n, part] of parts.entries()) bytes.set(part, Number(ends[n]) - part.length)
  return { bytes, ends }
}

/** The array again, into `out`, which has its type and length. */
export async function inflateBricks<T extends StoredVoxels>(
  { bytes, ends }: Bricks,
  shape: readonly number[],
  brick: Triple,
  out: T,
): Promise<T> {
  let first = 0
  let n = 0
  for (const { from, sides } of bricksOf(shape, brick)) {
    const end = Number(ends[n++])
    const raw = await inflateAsync(bytes.subarray(first, end), {
      maxOutputLength: sides[0] * sides[1] * sides[2] * out.BYTES_PER_ELEMENT,
    })
    const whole = raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength)
    const part = new (out.constructor as new (buffer: ArrayBufferLike) => T)(whole)
    for (const { at, source } of rowsOf(from, sides, shape)) out.set(part.subarray(at, at + sides[2]), source)
    first = end
  }
  return out
}

interface Brick {
  /** [c, z, y, x] of its first voxel. */
  from: readonly [number, number, number, number]
  sides: Triple
}

function* bricksOf(shape: readonly number[], brick: Triple): Generator<Brick> {
  const [Z, Y, X] = shape.slice(-3) as [number, number, number]
  const channels = shape.length === 4 ? shape[0]! : 1
  for (let c = 0; c < channels; c++)
    for (let z = 0; z < Z; z += brick[0])
      for (let y = 0; y < Y; y += brick[1])
        for (let x = 0; x < X; x += brick[2])
          yield {
            from: [c, z, y, x],
            sides: [Math.min(brick[0], Z - z), Math.min(brick[1], Y - y), Math.min(brick[2], X - x)],
          }
}

/** Where each row of a brick lies in it and in the whole array. */
function* rowsOf(
  [c, z, y, x]: Brick['from'],
  sides: Triple,
  shape: readonly number[],
): Generator<{ at: number; source: number }> {
  const [Z, Y, X] = shape.slice(-3) as [number, number, number]
  let at = 0
  for (let k = z; k < z + sides[0]; k++)
    for (let j = y; j < y + sides[1]; j++, at += sides[2]) yield { at, source: ((c * Z + k) * Y + j) * X + x }
}
