import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkDisk, checkPlatform } from './requirements.mjs'
import { explainFailure } from './say.mjs'
import { resolveTorch, withoutTorch } from './torch.mjs'

test('auto takes the locked build without a GPU and with a current driver', () => {
  assert.equal(resolveTorch('auto', null).backend, 'locked')
  assert.equal(resolveTorch('auto', { driver: 580.65, capability: 9 }).backend, 'locked')
})

test('auto takes cu126 for a driver before 580 and for a V100', () => {
  assert.equal(resolveTorch('auto', { driver: 550.9, capability: 8 }).backend, 'cu126')
  assert.equal(resolveTorch('auto', { driver: 580.65, capability: 7 }).backend, 'cu126')
})

test('a driver too old for the build asked for is one clear message', () => {
  assert.throws(
    () => resolveTorch('cu130', { driver: 550, capability: 8 }),
    /driver is 550; torch built for cu130 needs 580/,
  )
  assert.throws(() => resolveTorch('auto', { driver: 470, capability: 8 }), /driver is 470/)
})

test('CUDA is refused on macOS', () => {
  assert.throws(() => resolveTorch('cu130', null, 'darwin'), /no CUDA on macOS/)
})

test('an unknown --torch lists the known ones', () => {
  assert.throws(() => resolveTorch('cuda', null), /one of auto, cpu, cu126, cu130, existing/)
})

test('an unsupported architecture is named with what is supported', () => {
  assert.throws(() => checkPlatform('linux', 'ia32'), /linux-ia32.*linux-x64/s)
  assert.throws(() => checkPlatform('win32', 'x64'), /WSL2/)
  assert.throws(() => checkPlatform('linux', 'x64', false), /musl[\s\S]*Debian/)
  checkPlatform('linux', 'arm64', true)
})

test('too little disk space says how much is needed and free', async () => {
  await assert.rejects(checkDisk('.', 1e9), /1000000000\.0 GB needed, [\d.]+ GB free/)
})

test('installer output is explained by its cause', () => {
  assert.match(
    explainFailure('X', 'error: dns error: failed to lookup address').message,
    /registry could not be reached/,
  )
  assert.match(
    explainFailure('X', 'SSLError CERTIFICATE_VERIFY_FAILED').message,
    /certificate was not accepted/,
  )
  assert.match(explainFailure('X', 'npm error code E401').message, /refused access/)
  assert.match(explainFailure('X', 'OSError: [Errno 28] No space left on device').message, /disk is full/)
})

test('the lock without torch keeps every other package with its hashes', () => {
  const lock = readFileSync(new URL('../../engine/requirements.lock', import.meta.url), 'utf8')
  const { rest, torch } = withoutTorch(lock)
  assert.ok(torch.some((line) => /^torch==/.test(line)))
  assert.ok(torch.some((line) => /^torchvision==/.test(line)))
  assert.doesNotMatch(rest, /^(torch|nvidia-[a-z-]+|triton)==/m)
  assert.match(rest, /^timm==/m)
  const hashes = (text: string) => text.match(/--hash=/g)?.length ?? 0
  const removed = lock
    .split(/\n(?=[a-z0-9])/i)
    .filter((b) => /^(torch|torchvision|triton|nvidia-|cuda)/.test(b))
  assert.equal(hashes(rest) + removed.reduce((sum, b) => sum + hashes(b), 0), hashes(lock))
})

test('the locks name no registry host', () => {
  for (const file of [
    '../../engine/requirements.lock',
    '../../engine/uv.lock.txt',
    '../../package-lock.json',
  ])
    assert.doesNotMatch(
      readFileSync(new URL(file, import.meta.url), 'utf8'),
      /"resolved"|--index-url|pythonhosted/,
    )
})
