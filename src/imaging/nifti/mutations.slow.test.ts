import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { planGrid } from '../geometry/grid.ts'
import { ImageError } from '../image_error.ts'
import { noiseVolume, variedGrids } from '../testing/grids.ts'
import { randomSource } from '../testing/samples.ts'
import { readNifti, readNiftiHeader } from './read.ts'
import { writeNifti } from './write.ts'

const ROUNDS = 10_000

test('whatever bytes change, a file becomes a volume or an ImageError, soon, and in bounded memory', async () => {
  const files: Uint8Array[] = []
  for (const [n, grid] of variedGrids().slice(0, 4).entries()) {
    const plain = await writeNifti(noiseVolume(grid, 1 + n, n), { gzip: false })
    files.push(plain, gzipSync(plain), bigEndian(plain), gzipSync(plain, { level: 0 }))
  }
  const next = randomSource(7)
  const counts = { read: 0, planned: 0, refused: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    let bytes = Uint8Array.from(files[round % files.length]!)
    const numChanges = 1 + (next() % 8)
    // Half the changes hit the header; one file in eight is cut short too.
    for (let i = 0; i < numChanges; i++)
      bytes[next() % (next() % 2 ? 400 : bytes.length)] = [0, 1, 0x7f, 0xff, next()][next() % 5]!
    if (next() % 8 === 0) bytes = bytes.subarray(0, next() % bytes.length)
    const start = performance.now()
    try {
      const header = await readNiftiHeader(bytes.subarray(0, 4096))
      const volume = await readNifti(bytes)
      assert.equal(volume.data.length, volume.channels * volume.shape[0] * volume.shape[1] * volume.shape[2])
      assert.deepEqual(header.shape, volume.shape)
      counts.read++
      planGrid(volume, { orientation: 'RAS', spacing_mm: [2, 1.5, 1.5] })
      counts.planned++
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      counts.refused++
    }
    assert.ok(performance.now() - start < 2000, `round ${round} took too long`)
  }
  assert.ok(counts.planned > 1000 && counts.refused > 1000, JSON.stringify(counts))
  assert.ok(process.resourceUsage().maxRSS < 1e6, `${process.resourceUsage().maxRSS} kB`)
})

/** The same header with its numbers the other way round; the voxels are left, and read as other numbers. */
function bigEndian(file: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(file)
  const fields = [
    [0, 4, 1],
    [40, 2, 8],
    [68, 2, 4],
    [76, 4, 11],
    [252, 2, 2],
    [256, 4, 18],
  ] as const
  for (const [start, size, count] of fields)
    for (let k = 0; k < count; k++) bytes.subarray(start + k * size, start + (k + 1) * size).reverse()
  return bytes
}
