import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { listFolder, removeAll } from '../storage/local.ts'
import { lockFolder } from './folder_lock.ts'
import type { SetPlace } from './place.ts'
import { publish, removeUnlisted } from './publish.ts'
import { readIndex } from './shard_set.ts'
import { stagedSet } from './staging.ts'

/**
 * Goes on moving a whole set into the folder of its own, where an earlier run was killed while it did so: until then
 * the folder holds neither the old set nor the new one entirely.
 */
export async function finishMoving(place: SetPlace): Promise<void> {
  if (place.out === null || (await readIndex(stagedSet(place.staging))) === null) return
  await using _lock = await lockFolder(place.locks, 'all', () => true)
  await publish(place)
}

/**
 * Removes what runs killed in the moment of publishing left behind: staging folders whose set has been moved away, and
 * in a folder of its own the shards that its index no longer names. Work that another process is at is left alone.
 */
export async function clearLeftovers(place: SetPlace): Promise<void> {
  const names = await listFolder(place.parent)
  if (place.out !== null) {
    if (!names.includes('.staging')) return
    await unlessLocked(place.locks, async () => {
      await removeAll(place.staging)
      await removeUnlisted(place.parent)
    })
    return
  }
  for (const name of names.filter((one) => one.startsWith('.staging-'))) {
    const staging = join(place.parent, name)
    const isMoved = async () => !(await listFolder(staging)).includes('set')
    if (!(await isMoved())) continue
    const locks = join(place.parent, name.replace('.staging-', '.locks-'))
    await unlessLocked(locks, async () => {
      if (await isMoved()) await removeAll(staging)
    })
  }
}

async function unlessLocked(locks: string, work: () => Promise<void>): Promise<void> {
  const lock = await lockFolder(locks, 'all', () => true).catch((error) => {
    if (error instanceof UserError) return null
    throw error
  })
  if (lock === null) return
  await using _ = lock
  await work()
}
