import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { digestSet, prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

let dir: string
let small: string
let isMounted = false
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-full-'))
  small = join(dir, 'small')
  await mkdir(small)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], { stdio: 'ignore' })
    isMounted = true
  } catch {} // not root, or a container that may not mount
})
after(async () => {
  if (isMounted) execFileSync('umount', [small])
  await rm(dir, { recursive: true })
})

test('a disk that fills up is said with what to do, and the same command goes on once there is room', async (t) => {
  if (!isMounted) return t.skip('mounting a small file system needs root')
  const root = join(dir, 'data')
  await writeDataSet(root, smallCases(40))
  const recipe = smallRecipe(root)
  const work = join(small, 'work')
  const ballast = join(small, 'ballast')
  // Others fill the disk once the work has begun: but for a few blocks.
  const fill = async () => {
    const { bavail, bsize } = await statfs(small)
    await writeFile(ballast, Buffer.alloc((bavail - 6) * bsize))
  }
  let filling: Promise<void> | null = null
  const failing = prepareSmall(recipe, work, {
    log: (line) => {
      if (line.includes('shards, below')) filling = fill()
    },
  })
  await assert.rejects(
    failing,
    (error) =>
      error instanceof UserError &&
      error.exitCode === 2 &&
      /disk is full[\s\S]*Free some space/.test(error.message),
  )
  await filling
  await rm(ballast)
  const { dir: set } = await prepareSmall(recipe, work)
  assert.deepEqual(
    await digestSet(set),
    await digestSet((await prepareSmall(recipe, join(dir, 'roomy'))).dir),
  )
})

test('too little space is said before any image is decoded', async (t) => {
  if (!isMounted) return t.skip('mounting a small file system needs root')
  const root = join(dir, 'large')
  await writeDataSet(root, smallCases(20))
  await assert.rejects(
    prepareSmall(smallRecipe(root, { prepare: { size: 300 } }), join(small, 'large')),
    (error) =>
      error instanceof UserError && /still to be made take 1\.8 MB; [\d.]+ MB are free/.test(error.message),
  )
})
