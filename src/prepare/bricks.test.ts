import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BRICK, deflateBricks, inflateBricks } from './bricks.ts'
import { readStoredVolume } from './stored_volume.ts'
import { prepareSmall } from './testing/small_data_set.ts'
import { smallVolumeRecipe, writeSmallVolumes } from './testing/small_volumes.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-bricks-'))
})
after(() => rm(dir, { recursive: true }))

test('what is deflated in bricks comes back, whatever is left over at the far ends', async () => {
  const brick = [4, 3, 5] as const
  for (const shape of [
    [2, 9, 7, 11],
    [1, 4, 3, 5],
    [7, 2, 6],
  ]) {
    const size = shape.reduce((a, b) => a * b, 1)
    for (const VoxelArray of [Uint8Array, Int16Array, Float16Array, Float32Array]) {
      const values = new VoxelArray(size)
      for (let i = 0; i < size; i++) values[i] = (i * 37) % 120
      const bricks = await deflateBricks(values, shape, brick)
      const bricksAlong = shape.slice(-3).map((side, k) => Math.ceil(side / brick[k]!))
      assert.equal(
        bricks.ends.length,
        bricksAlong.reduce((a, b) => a * b, shape.length === 4 ? shape[0]! : 1),
      )
      assert.deepEqual(await inflateBricks(bricks, shape, brick, new VoxelArray(size)), values)
    }
  }
})

test('a deflated set holds the same voxels as a plain one, and has an id of its own', async () => {
  const root = join(dir, 'data')
  await writeSmallVolumes(root, 3)
  const plain = await prepareSmall(smallVolumeRecipe(root), join(dir, 'plain'))
  const deflated = await prepareSmall(
    smallVolumeRecipe(root, { prepare: { compression: 'deflate' } }),
    join(dir, 'deflated'),
  )
  assert(plain.index.kind === 'volumes' && deflated.index.kind === 'volumes')
  assert.deepEqual([plain.index.brick, deflated.index.brick], [null, BRICK])
  assert.notEqual(plain.index.set_id, deflated.index.set_id)
  for (const [i, { file }] of plain.index.shards.entries()) {
    const one = await readStoredVolume(join(plain.dir, file), plain.index)
    const other = await readStoredVolume(join(deflated.dir, deflated.index.shards[i]!.file), deflated.index)
    assert.deepEqual(other, one)
  }
})
