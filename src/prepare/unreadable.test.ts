import assert from 'node:assert/strict'
import { chmod, chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AttentionError } from '../schema/errors.ts'
import { prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

const NOBODY = 65534
const isRoot = process.geteuid?.() === 0
let dir: string
let root: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-unreadable-'))
  root = join(dir, 'data')
  await writeDataSet(root, smallCases(24))
  await chmod(join(root, 'images/c0003.png'), 0)
  if (!isRoot) return
  for (const name of await readdir(dir, { recursive: true })) await chown(join(dir, name), NOBODY, NOBODY)
  await chown(dir, NOBODY, NOBODY)
})
after(() => rm(dir, { recursive: true }))

test('an image that may not be read is quarantined by name, tried again, and found as it was left out', async (t) => {
  if (process.platform === 'win32') return t.skip('no such permissions here')
  if (isRoot) process.seteuid!(NOBODY) // root may read everything
  try {
    const isReadable = await readFile(import.meta.filename).then(
      () => true,
      () => false,
    )
    if (!isReadable) return t.skip('another user cannot read this checkout')
    const work = join(dir, 'work')
    await assert.rejects(
      prepareSmall(smallRecipe(root), work),
      (error) => error instanceof AttentionError && /c0003: Permission denied: this file/.test(error.message),
    )
    const recipe = smallRecipe(root, { data: { max_quarantined: 1 } })
    const { result, dir: set } = await prepareSmall(recipe, work)
    assert.deepEqual([result.cases, result.quarantined[0]?.file], [23, 'images/c0003.png'])
    const again = await prepareSmall(recipe, work)
    assert.deepEqual([again.result.reused, again.dir], [true, set])
    await chmod(join(root, 'images/c0003.png'), 0o600)
    assert.equal((await prepareSmall(smallRecipe(root), work)).result.cases, 24)
  } finally {
    if (isRoot) process.seteuid!(0)
  }
})
