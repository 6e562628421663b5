import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { lockFolder } from './folder_lock.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-lock-'))
})
after(() => rm(dir, { recursive: true }))

async function leaveLock(folder: string, holder: object): Promise<string> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'all.lock')
  await writeFile(path, JSON.stringify({ process_start: null, time: 'then', token: 'theirs', ...holder }))
  return path
}

const isHeld = (error: unknown) =>
  error instanceof UserError && /Another process/.test(error.message) && error.message.includes('--out')

test('a lock is held once, names its holder, and leaves nothing when released', async () => {
  const folder = join(dir, 'once')
  const lock = await lockFolder(folder, 'all')
  await assert.rejects(
    lockFolder(folder, 'all'),
    (error) => isHeld(error) && (error as Error).message.includes(`pid ${process.pid} on ${hostname()}`),
  )
  await lock.release()
  assert.deepEqual(await readdir(dir), [])
})

test('the lock of a dead process is taken over', async () => {
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => child.once('exit', resolve))
  const folder = join(dir, 'dead')
  await leaveLock(folder, { pid: child.pid, host: hostname() })
  await (await lockFolder(folder, 'all')).release()
})

test('a later process with the same pid is not taken for the holder', {
  skip: process.platform === 'linux' ? false : 'start times are read from /proc',
}, async () => {
  const folder = join(dir, 'reused')
  await leaveLock(folder, { pid: process.pid, host: hostname(), process_start: '1' })
  await (await lockFolder(folder, 'all')).release()
})

test('the lock of another machine holds while it is touched, and no longer', async () => {
  const folder = join(dir, 'remote')
  const path = await leaveLock(folder, { pid: 1, host: 'another-machine' })
  await assert.rejects(lockFolder(folder, 'all'), isHeld)
  const longAgo = new Date(Date.now() - 3_600_000)
  await utimes(path, longAgo, longAgo)
  await (await lockFolder(folder, 'all')).release()
})

test('a torn lock file is left alone while it may be being written, then taken over', async () => {
  const folder = join(dir, 'torn')
  const path = join(folder, 'all.lock')
  await mkdir(folder)
  await writeFile(path, '{"pid": 1')
  await assert.rejects(lockFolder(folder, 'all'), isHeld)
  const aMinuteAgo = new Date(Date.now() - 60_000)
  await utimes(path, aMinuteAgo, aMinuteAgo)
  await (await lockFolder(folder, 'all')).release()
})

test('shares of the work are held side by side, and exclude what they must', async () => {
  const folder = join(dir, 'slices')
  const first = await lockFolder(folder, 'slice-1-of-2', (other) => other === 'all')
  const second = await lockFolder(folder, 'slice-2-of-2', (other) => other === 'all')
  await assert.rejects(
    lockFolder(folder, 'all', () => true),
    isHeld,
  )
  await first.release()
  await second.release()
  const all = await lockFolder(folder, 'all', () => true)
  await assert.rejects(
    lockFolder(folder, 'slice-1-of-2', (other) => other === 'all'),
    isHeld,
  )
  await all.release()
})

test('of many that ask at once one gets it, also over a dead lock', async () => {
  const folder = join(dir, 'race')
  await leaveLock(folder, { pid: 2 ** 22 + 1, host: hostname() })
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder, 'all')))
  const got = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  assert.equal(got.length, 1)
  await got[0]?.release()
})
