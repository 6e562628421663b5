import type { Volume } from '../imaging/volume.ts'

/**
 * Keeps volumes from one pass over a split to the next, the first ones as long as they fit; the others are read again in
 * each pass. The last ones would be no use: a pass begins at the start.
 *
 * @returns wraps what reads a volume
 */
export function keepVolumes(maxBytes: number): (read: () => Promise<Volume>) => () => Promise<Volume> {
  let free = maxBytes
  return (read) => {
    let kept: Volume | null = null
    return async () => {
      if (kept !== null) return kept
      const volume = await read()
      if (volume.data.byteLength > free) return volume
      free -= volume.data.byteLength
      kept = volume
      return volume
    }
  }
}
