import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../imaging/volume.ts'
import { keepVolumes } from './keep_volumes.ts'

test('volumes that fit together are read once, the others each time, and all come whole', async () => {
  const reads: number[] = []
  const keep = keepVolumes(200)
  const cases = [60, 120, 100, 20].map((bytes, i) => {
    const volume: Volume = {
      data: new Uint16Array(bytes / 2).fill(i),
      channels: 1,
      shape: [1, 2, bytes / 4],
      affine: [0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1],
    }
    return keep(async () => {
      reads.push(i)
      return volume
    })
  })
  for (const _pass of [1, 2]) for (const [i, read] of cases.entries()) assert.equal((await read()).data[0], i)
  assert.deepEqual(reads, [0, 1, 2, 3, 2])
})

test('a volume that cannot be read is read anew the next time', async () => {
  const volume = { data: new Uint8Array(6), channels: 1, shape: [1, 2, 3], affine: [] } as const
  let isThere = false
  const read = keepVolumes(10)(async () => {
    if (!isThere) throw new Error('gone')
    return volume
  })
  await assert.rejects(read(), /gone/)
  isThere = true
  assert.equal(await read(), volume)
})
