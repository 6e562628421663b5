import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { StoppedError, UserError } from '../schema/errors.ts'
import { explainExit, parseMessage } from './engine.ts'
import { engineEnvironment, findPython } from './environment.ts'
import { runProcess } from './process.ts'

const never = new AbortController().signal
const node = (script: string, signal = never, graceSeconds = 5) =>
  runProcess(process.execPath, ['-e', script], { env: process.env, signal, graceSeconds })

test('without an environment the message says to run the set-up', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'fiducial-python-'))
  try {
    await assert.rejects(findPython({}, empty), (error: Error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, /npm run setup/)
      return true
    })
  } finally {
    await rm(empty, { recursive: true })
  }
})

test('an environment whose Python may not be run is told from none, with where it points', async () => {
  const root = await mkdtemp(join(tmpdir(), 'fiducial-python-'))
  try {
    const bin = join(root, '.venv', 'bin')
    await mkdir(bin, { recursive: true })
    await symlink('python3', join(bin, 'python'))
    await writeFile(join(bin, 'python3'), '', { mode: 0o600 })
    await assert.rejects(findPython({}, root), {
      name: 'UserError',
      message: /is there, but this user cannot run its Python: .*python, a link to .*bin\/python3\./,
    })
  } finally {
    await rm(root, { recursive: true })
  }
})

test('FIDUCIAL_PYTHON that names no program is refused by name', async () => {
  await assert.rejects(findPython({ FIDUCIAL_PYTHON: '/no/such/python' }), /\/no\/such\/python/)
})

test('FIDUCIAL_PYTHON wins over the checkout', async () => {
  assert.equal(await findPython({ FIDUCIAL_PYTHON: process.execPath }), process.execPath)
})

test("the engine comes before the user's own PYTHONPATH", () => {
  const env = engineEnvironment({ PYTHONPATH: '/theirs' }, '/checkout/')
  assert.equal(env.PYTHONPATH, '/checkout/engine:/theirs')
})

test('only a line that is one JSON object is a message', () => {
  assert.deepEqual(parseMessage('{"device":"cpu"}'), { device: 'cpu' })
  assert.equal(parseMessage('Downloading {"x"}'), null)
  assert.equal(parseMessage('{torn'), null)
})

test('lines of stdout and stderr arrive one by one', async () => {
  const out: string[] = []
  const exit = await runProcess(
    process.execPath,
    ['-e', 'console.log("a\\nb"); console.error("c"); process.exit(2)'],
    { env: process.env, signal: never, onStdout: (line) => out.push(line) },
  )
  assert.deepEqual(out, ['a', 'b'])
  assert.deepEqual([exit.code, exit.tail], [2, ['c']])
})

test('aborting sends SIGTERM and waits for the program to end by itself', async () => {
  const controller = new AbortController()
  const exit = await runProcess(
    process.execPath,
    [
      '-e',
      'process.on("SIGTERM", () => process.exit(75)); setInterval(() => {}, 1000); console.log("ready")',
    ],
    { env: process.env, signal: controller.signal, onStdout: () => controller.abort() },
  )
  assert.equal(exit.code, 75)
})

test('a program that ignores SIGTERM is killed after the grace', async () => {
  const controller = new AbortController()
  const exit = await runProcess(
    process.execPath,
    ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("ready")'],
    { env: process.env, signal: controller.signal, graceSeconds: 0.2, onStdout: () => controller.abort() },
  )
  assert.equal(exit.signal, 'SIGKILL')
})

test('a process left behind with the pipes does not hold up the end', async () => {
  const started = performance.now()
  const exit = await node(
    'const { pid } = require("node:child_process").spawn("sleep", ["30"], { stdio: "inherit", detached: true }); ' +
      'console.error(pid); process.exit(3)',
  )
  process.kill(Number(exit.tail[0]), 'SIGKILL')
  assert.equal(exit.code, 3)
  assert.ok(performance.now() - started < 10_000)
})

test('stdin stays open while the program runs', async () => {
  const exit = await node(
    'process.stdin.on("end", () => process.exit(9)); process.stdin.resume(); setTimeout(() => process.exit(0), 150)',
  )
  assert.equal(exit.code, 0)
})

test('exit 2 is a user error with the message of the engine alone', () => {
  const exit = { code: 2, signal: null, tail: ['noise'] }
  const error = explainExit('train', exit, { error: 'weights are missing' }, false)
  assert.ok(error instanceof UserError)
  assert.equal(error.message, 'weights are missing')
})

test('exit 75 means stopped and resumable', () => {
  const error = explainExit('train', { code: 75, signal: null, tail: [] }, {}, false)
  assert.ok(error instanceof StoppedError)
})

test('a kill that nobody asked for is explained as memory', () => {
  const error = explainExit('train', { code: null, signal: 'SIGKILL', tail: [] }, {}, false)
  assert.ok(error instanceof UserError)
  assert.match(error.message, /memory/)
})

test('a missing package points at the set-up', () => {
  const exit = { code: 1, signal: null, tail: ["ModuleNotFoundError: No module named 'timm'"] }
  assert.match(explainExit('train', exit, {}, false)!.message, /lacks the package timm[\s\S]*npm run setup/)
})

test('any other end is a bug that shows the last lines', () => {
  const error = explainExit('train', { code: 1, signal: null, tail: ['ValueError: boom'] }, {}, false)
  assert.ok(error !== null && !(error instanceof UserError))
  assert.match(error.message, /ValueError: boom/)
})
