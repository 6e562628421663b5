import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { engineEnvironment, PROJECT_ROOT } from '../python/environment.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import { type AgentJob, runAgent } from './agent.ts'
import { trainArguments } from './local.ts'
import { readRankLogs } from './rank_log.ts'
import { torchrunEnvironment } from './torchrun.ts'

// Ranks here are small Node programs: what is tested is how processes are placed, stopped and explained.
const python = join(PROJECT_ROOT, '.venv', 'bin', 'python')
const needsPython = { skip: existsSync(python) ? false : 'no Python environment; run "npm run setup"' }

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-agent-'))
})
afterEach(() => rm(dir, { recursive: true }))

function job(script: string, overrides: Partial<AgentJob> = {}): AgentJob {
  return {
    runDir: dir,
    ranks: 1,
    command: [process.execPath, '-e', script],
    python,
    env: engineEnvironment(),
    watchdogSeconds: 60,
    graceSeconds: 5,
    ...overrides,
  }
}
const context = (signal = new AbortController().signal) => ({ signal, log: () => {} })
const logOf = async (rank: number) => (await readRankLogs(join(dir, 'logs')))[rank]!.lines

/** Aborts as soon as the log of every rank holds a word. */
function abortWhenLogged(word: string, ranks = 1): AbortSignal {
  const controller = new AbortController()
  const timer = setInterval(async () => {
    const logs = await readRankLogs(join(dir, 'logs'))
    if (logs.length < ranks || !logs.every(({ lines }) => lines.includes(word))) return
    clearInterval(timer)
    controller.abort()
  }, 50)
  timer.unref()
  return controller.signal
}

test('a rank is started with the run folder, the generation and what its record is to say', () => {
  assert.deepEqual(trainArguments({ runDir: '/runs/a', generation: 3, warnings: ['other code'] }), [
    '-m',
    'fiducial_engine.train',
    '--run-dir',
    '/runs/a',
    '--generation',
    '3',
    '--warning=other code',
  ])
})

test('one rank runs plainly, its output in its log, and nothing else is left in logs/', async () => {
  await runAgent(job('console.log("out"); console.error("err")'), context())
  const lines = await logOf(0)
  assert.match(lines[0]!, /^--- rank 0 of 1/)
  assert.deepEqual(lines.slice(1).toSorted(), ['err', 'out'])
  assert.deepEqual(await readdir(join(dir, 'logs')), ['rank-0.log'])
})

test('a full disk is said before anything is started', {
  skip: existsSync('/dev/full') ? false : 'no /dev/full here',
}, async () => {
  await mkdir(join(dir, 'logs'))
  await symlink('/dev/full', join(dir, 'logs', 'rank-0.log'))
  await assert.rejects(runAgent(job('process.exit(1)'), context()), (error: Error) => {
    assert.ok(error instanceof UserError)
    assert.match(error.message, /disk is full/)
    return true
  })
})

test("the user's mistake arrives as the engine said it", async () => {
  const script = 'console.log(JSON.stringify({ error: "loss became NaN at step 7" })); process.exit(2)'
  await assert.rejects(runAgent(job(script), context()), (error: Error) => {
    assert.ok(error instanceof UserError)
    assert.equal(error.message, 'loss became NaN at step 7')
    return true
  })
})

test('a stop is relayed and ends as stopped', async () => {
  const script =
    'process.on("SIGTERM", () => process.exit(75)); setInterval(() => {}, 1000); console.log("ready")'
  await assert.rejects(runAgent(job(script), context(abortWhenLogged('ready'))), StoppedError)
})

test('a silent rank is ended by the watchdog, which says where to look', async () => {
  const silent = job('setInterval(() => {}, 1000)', { watchdogSeconds: 0.3 })
  await assert.rejects(runAgent(silent, context()), (error: Error) => {
    assert.ok(error instanceof UserError)
    assert.match(error.message, /no sign of life for 0.3 s[\s\S]*rank-\*\.log[\s\S]*resumes/)
    return true
  })
})

test('Python writes its stacks to the log when the watchdog ends it', needsPython, async () => {
  const command = [python, '-c', 'import time\ndef stuck_here(): time.sleep(60)\nstuck_here()'] as const
  await assert.rejects(runAgent(job('', { command, watchdogSeconds: 1 }), context()), /no sign of life/)
  assert.match((await logOf(0)).join('\n'), /Fatal Python error: Aborted[\s\S]*stuck_here/)
})

test('threads are shared out among the ranks unless the user says how many', () => {
  assert.equal(torchrunEnvironment(job('', { ranks: 1000, env: {} })).OMP_NUM_THREADS, '1')
  assert.equal(torchrunEnvironment(job('', { env: { OMP_NUM_THREADS: '3' } })).OMP_NUM_THREADS, '3')
})

test('two ranks get the environment of torch.distributed and a log each', needsPython, async () => {
  const script =
    'const e = process.env; console.log(e.RANK, e.WORLD_SIZE, e.LOCAL_RANK, e.MASTER_ADDR, e.TORCH_DISABLE_SHARE_RDZV_TCP_STORE)'
  await runAgent(job(script, { ranks: 2 }), context())
  assert.equal((await logOf(0))[1], '0 2 0 127.0.0.1 1')
  assert.equal((await logOf(1))[1], '1 2 1 127.0.0.1 1')
  assert.deepEqual(await readdir(join(dir, 'logs')), ['rank-0.log', 'rank-1.log'])
})

test("the user's mistake on one of two ranks ends both without a restart", needsPython, async () => {
  const script =
    'console.log("started"); if (process.env.RANK === "1") { console.log(JSON.stringify({ error: "no weights" })); process.exit(2) } ' +
    'setInterval(() => {}, 1000)'
  await assert.rejects(runAgent(job(script, { ranks: 2 }), context()), (error: Error) => {
    assert.ok(error instanceof UserError)
    assert.equal(error.message, 'no weights')
    return true
  })
  assert.equal((await logOf(1)).filter((line) => line === 'started').length, 1)
})

test('a stop reaches both ranks and ends as stopped', needsPython, async () => {
  const script =
    'process.on("SIGTERM", () => { console.log("saved"); process.exit(75) }); setInterval(() => {}, 1000); console.log("ready")'
  await assert.rejects(
    runAgent(job(script, { ranks: 2 }), context(abortWhenLogged('ready', 2))),
    StoppedError,
  )
  assert.ok((await logOf(0)).includes('saved'))
  assert.ok((await logOf(1)).includes('saved'))
})

test('a killed rank is restarted with the other one', needsPython, async () => {
  const script =
    'if (process.env.RANK === "1" && process.env.TORCHELASTIC_RESTART_COUNT === "0") process.kill(process.pid, "SIGKILL"); ' +
    'console.log("start", process.env.TORCHELASTIC_RESTART_COUNT); if (process.env.TORCHELASTIC_RESTART_COUNT === "0") setInterval(() => {}, 1000)'
  await runAgent(job(script, { ranks: 2 }), context())
  assert.equal((await logOf(0)).at(-1), 'start 1')
})
