import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { createRunFolder, writeRun } from './create.ts'
import { EventTail, eventsOf, parseEvents, settleEvents } from './events.ts'
import { differences, findRun, listRuns } from './list.ts'
import { readLock, releaseLock, takeLock } from './lock.ts'
import { repairPointers } from './pointers.ts'
import { codeChange } from './provenance.ts'
import { isFinished, readRun } from './read.ts'
import { exampleConfig, exampleId } from './testing/example_config.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-runs-'))
})
afterEach(() => rm(dir, { recursive: true }))

const stepEvent = (step: number, loss: number) =>
  JSON.stringify({
    type: 'step',
    step,
    epoch: 0,
    loss,
    lr: 1e-3,
    samples_per_second: 100,
    data_wait_fraction: 0,
    time: 0,
  })
const endEvent = (status: string) =>
  JSON.stringify({ type: 'end', step: 9, status, message: null, seconds: {}, time: 0 })

test('two runs of one second get different folders', async () => {
  const now = new Date(2026, 10, 21, 14, 30, 5)
  const first = await createRunFolder({ parent: dir, name: 'chest' }, now)
  const second = await createRunFolder({ parent: dir, name: 'chest' }, now)
  assert.ok(first.endsWith('chest-20261121-143005'))
  assert.ok(second.endsWith('chest-20261121-143005-2'))
})

test('a named run folder that holds something else is refused and left alone', async () => {
  await writeFile(join(dir, 'thesis.doc'), 'precious')
  await assert.rejects(createRunFolder({ dir }, new Date()), /not empty and holds no run/)
  assert.equal(await readFile(join(dir, 'thesis.doc'), 'utf8'), 'precious')
})

test('a folder without run.json is no run, and the message says so', async () => {
  await assert.rejects(readRun(dir), /There is no run in .*run\.json/)
})

test('a damaged run.json names the file', async () => {
  await writeFile(join(dir, 'run.json'), '{"format": 1,')
  await assert.rejects(readRun(dir), /run\.json is damaged/)
})

test('a damaged lock is a warning to a reader, and named to a writer', async () => {
  await writeRun(dir, '', exampleConfig())
  await writeFile(join(dir, 'lock.json'), '{"gen')
  assert.match((await readRun(dir)).damage.join(), /lock\.json is damaged/)
  await assert.rejects(takeLock(dir, new Date()), { name: 'UserError', message: /lock\.json is damaged/ })
})

test('a damaged pointer is named, and written again from the newest checkpoint', async () => {
  await writeRun(dir, '', exampleConfig())
  const best = { step: 2, epoch: 1, folder: 'step-00000002', metrics: { auroc_mean: 0.9 } }
  for (const step of [2, 4]) {
    const folder = join(dir, 'checkpoints', `step-0000000${step}`)
    await mkdir(folder, { recursive: true })
    const state = { step, epoch: step / 2, metrics: {}, best, early_stopped: false }
    await writeFile(join(folder, 'state.json'), JSON.stringify(state))
  }
  for (const text of ['{"step"', '{"step": 3}']) {
    for (const name of ['best', 'latest']) await writeFile(join(dir, 'checkpoints', `${name}.json`), text)
    await assert.rejects(readRun(dir), { name: 'UserError', message: /best\.json is damaged.*--run-dir/s })
    assert.deepEqual(await repairPointers(dir), ['checkpoints/best.json', 'checkpoints/latest.json'])
    const run = await readRun(dir)
    assert.deepEqual([run.best, run.latest?.folder], [best, 'step-00000004'])
  }
  assert.deepEqual(await repairPointers(dir), [])
})

test('the last line for a step wins, as after a restart', () => {
  const events = parseEvents(`${[stepEvent(1, 0.7), stepEvent(2, 0.6), stepEvent(2, 0.5)].join('\n')}\n`)
  assert.deepEqual(
    eventsOf(events, 'step').map((e) => [e.step, e.loss]),
    [
      [1, 0.7],
      [2, 0.5],
    ],
  )
})

test('after a second kill the steps ascend, whatever lies between them, and other events keep their places', () => {
  const resume = '{"type":"resume","step":2,"time":0}'
  const validation = (step: number) =>
    JSON.stringify({ type: 'validation', step, epoch: 1, metrics: {}, is_best: false, seconds: 1, time: 0 })
  const lines = [
    ...[
      stepEvent(1, 0.9),
      stepEvent(2, 0.8),
      validation(2),
      stepEvent(3, 0.7),
      stepEvent(4, 0.6),
      validation(4),
    ],
    ...[resume, stepEvent(3, 0.5), resume, validation(2)],
  ]
  const settled = settleEvents(parseEvents(`${lines.join('\n')}\n`))
  const stepsOf = (type: string) => settled.filter((e) => e.type === type).map((e) => e.step)
  assert.deepEqual(stepsOf('step'), [1, 2, 3, 4])
  assert.deepEqual(stepsOf('validation'), [2, 4])
  assert.equal(settled.find((e) => e.type === 'step' && e.step === 3 && e.loss === 0.5)?.step, 3)
  assert.equal(
    settled.findIndex((e) => e.type === 'resume'),
    4,
  )
})

test('a torn line is left out and the lines around it are read', () => {
  const events = parseEvents(
    `${stepEvent(1, 0.7)}\n{"type":"step","st\n{"type":"resume","step":1,"time":0}\n`,
  )
  assert.deepEqual(
    events.map((e) => e.type),
    ['step', 'resume'],
  )
})

test('a damaged line in the middle is named by its number, one that a kill tore or a newer version wrote is not', async () => {
  const lines = [
    stepEvent(1, 0.7),
    '{"type":"step","step":2,"epo\0\0',
    stepEvent(3, 0.5),
    '{"type":"step","step":4,"loss":"low"}',
    '{"type":"of tomorrow","step":4}',
    '{"type":"st',
    '{"type":"resume","step":3,"time":0}',
    stepEvent(4, 0.4).replace('"lr"', '"rl"'),
    stepEvent(5, 0.3),
    '{"type":"step","step":6',
  ]
  await writeRun(dir, 'name: chest\n', exampleConfig())
  await writeFile(join(dir, 'events.jsonl'), lines.join('\n'))
  const { damage, events } = await readRun(dir)
  assert.match(damage.join(), /^events\.jsonl is damaged: lines 2, 4, 8 cannot be read\./)
  assert.equal(events.filter((e) => e.type === 'step').length, 3)
})

test('a resume by other code, or by a checkout with uncommitted changes, is said in a line', () => {
  const clean = { ...exampleConfig().provenance, commit: 'a'.repeat(40), dirty: false }
  assert.equal(codeChange(clean, { ...clean, created: 'later' }), null)
  assert.equal(codeChange(exampleConfig().provenance, exampleConfig().provenance), null)
  const other = codeChange(clean, { ...clean, commit: 'b'.repeat(40), python_lock_sha256: exampleId('e') })
  assert.match(other!, /then commit aaaaaaaaaa, now commit bbbbbbbbbb, another requirements\.lock\./)
  assert.match(codeChange(clean, { ...clean, dirty: true })!, /now commit aaaaaaaaaa with uncommitted/)
})

test('the tail waits for the end of a line that is being written', async () => {
  const path = join(dir, 'events.jsonl')
  const tail = new EventTail(path)
  assert.deepEqual(await tail.read(), [])
  const line = stepEvent(1, 0.5)
  await writeFile(path, line.slice(0, 20))
  assert.deepEqual(await tail.read(), [])
  await appendFile(path, `${line.slice(20)}\n${stepEvent(2, 0.4).slice(0, 5)}`)
  assert.deepEqual(
    (await tail.read()).map((e) => e.step),
    [1],
  )
})

test('each start raises the generation by one', async () => {
  assert.equal(await takeLock(dir, new Date()), 1)
  await releaseLock(dir)
  assert.equal(await takeLock(dir, new Date()), 2)
})

test('of many starts at once each gets a generation of its own', async () => {
  const generations = await Promise.all(Array.from({ length: 5 }, () => takeLock(dir, new Date())))
  assert.deepEqual(generations.toSorted(), [1, 2, 3, 4, 5])
})

test('a second process is refused while the first one lives, and follows it when it is gone', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  try {
    await writeFile(
      join(dir, 'lock.json'),
      JSON.stringify({ generation: 4, pid: child.pid, host: hostname(), time: new Date().toISOString() }),
    )
    await assert.rejects(takeLock(dir, new Date()), new RegExp(`process ${child.pid}`))
  } finally {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  assert.equal(await takeLock(dir, new Date()), 5)
  assert.equal((await readLock(dir))?.pid, process.pid)
})

test('a process that merely got the number of the dead writer does not block the run', {
  skip: process.platform === 'linux' ? false : 'needs /proc',
}, async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  try {
    const lock = { generation: 1, pid: child.pid, host: hostname(), process_start: '1', time: 'then' }
    await writeFile(join(dir, 'lock.json'), JSON.stringify(lock))
    assert.equal(await takeLock(dir, new Date()), 2)
  } finally {
    child.kill('SIGKILL')
  }
})

test('the status follows the events: new, interrupted, stopped, finished', async () => {
  await writeRun(dir, 'name: chest\n', exampleConfig())
  assert.equal((await readRun(dir)).status, 'new')
  const events = join(dir, 'events.jsonl')
  await writeFile(events, `{"type":"resume","step":0,"time":0}\n${stepEvent(3, 0.5)}\n`)
  const interrupted = await readRun(dir)
  assert.deepEqual([interrupted.status, interrupted.step], ['interrupted', 3])
  await appendFile(events, `${endEvent('stopped')}\n`)
  assert.equal((await readRun(dir)).status, 'stopped')
  await appendFile(events, `{"type":"resume","step":3,"time":0}\n${endEvent('finished')}\n`)
  assert.equal((await readRun(dir)).status, 'finished')
})

test('runs are listed newest first and damaged ones are named', async () => {
  const at = (created: string) => exampleConfig({ provenance: { ...exampleConfig().provenance, created } })
  for (const [name, value] of [
    ['old', at('2026-11-20T10:00:00.000Z')],
    ['new', at('2026-11-21T10:00:00.000Z')],
  ] as const) {
    await mkdir(join(dir, name))
    await writeRun(join(dir, name), '', value)
  }
  await mkdir(join(dir, 'broken'))
  await writeFile(join(dir, 'broken', 'run.json'), '{}')
  const list = await listRuns(dir)
  assert.deepEqual(
    list.runs.map((run) => run.id),
    ['new', 'old'],
  )
  assert.match(list.damaged[0]!.dir, /broken$/)
})

test('a folder that does not exist lists no runs', async () => {
  assert.deepEqual(await listRuns(join(dir, 'runs')), { runs: [], damaged: [] })
})

test('only a run of the same recipe, pixels, labels, split and network is found', async () => {
  await mkdir(join(dir, 'one'))
  await writeRun(join(dir, 'one'), '', exampleConfig())
  const unfinished = (run: { status: string }) => !isFinished(run.status as 'new')
  assert.equal((await findRun(dir, exampleConfig(), unfinished))?.id, 'one')
  assert.equal(await findRun(dir, exampleConfig({ recipe_hash: exampleId('e') }), unfinished), null)
  const otherSplit = exampleConfig({ data: { ...exampleConfig().data, split_id: exampleId('e') } })
  assert.deepEqual(differences(exampleConfig(), otherSplit), ['split'])
  await writeFile(join(dir, 'one', 'events.jsonl'), `${endEvent('finished')}\n`)
  assert.equal(await findRun(dir, exampleConfig(), unfinished), null)
})
