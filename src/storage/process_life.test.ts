import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { isProcessAlive, ownMark } from './process_life.ts'

test('this process is alive, one that has ended is dead, nobody is dead', async () => {
  const own = await ownMark()
  assert.equal(await isProcessAlive(own), true)
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => child.once('exit', resolve))
  assert.equal(await isProcessAlive({ ...own, pid: child.pid!, process_start: null }), false)
  assert.equal(await isProcessAlive({ ...own, pid: 0 }), false)
})

test('a process that merely got the number of another is not that one', {
  skip: process.platform === 'linux' ? false : 'start times are read from /proc',
}, async () => {
  assert.equal(await isProcessAlive({ ...(await ownMark()), process_start: '1' }), false)
})

test('of a process on another machine nothing is known', async () => {
  assert.equal(await isProcessAlive({ ...(await ownMark()), host: 'another-machine' }), null)
})
