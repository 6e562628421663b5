import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { commands } from './registry.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const dir = await mkdtemp(join(tmpdir(), 'fiducial-cli-'))
after(() => rm(dir, { recursive: true }))

interface Outcome {
  code: number | null
  stdout: string
  stderr: string
  seconds: number
}
function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Outcome> {
  const started = performance.now()
  return new Promise((resolve) => {
    const child = execFile(program, args, { cwd: dir, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr, seconds: (performance.now() - started) / 1000 }),
    )
  })
}
const fiducial = (...args: string[]) => run(join(root, 'fiducial'), args)

/** A verb of one action, run as a process of its own. */
async function runVerb(action: string, ...args: string[]): Promise<Outcome> {
  return run(process.execPath, ['--input-type=module-typescript', '-e', verbScript(action), 'verb', ...args])
}
const verbScript = (action: string) => `
  import { command } from '${root}src/cli/command.ts'
  import { reportFailure } from '${root}src/cli/outcome.ts'
  import { AttentionError, StoppedError, UserError } from '${root}src/schema/errors.ts'
  const cmd = command({
    name: 'verb', summary: 'a verb', examples: ['fiducial verb'],
    action: async (context) => { ${action} },
    print: (result) => 'for a person: ' + result.answer,
    attention: (result) => (result.answer === 0 ? 'look at this' : null),
  })
  const argv = process.argv.slice(2)
  const code = await cmd.parseAsync(argv, { from: 'user' }).then(
    () => process.exitCode ?? 0,
    (error) => reportFailure(error, { json: argv.includes('--json') }),
  )
  process.exit(code)`

test('help lists every verb of the registry', async () => {
  const { code, stdout } = await fiducial('--help')
  assert.equal(code, 0)
  for (const verb of Object.keys(commands)) assert.match(stdout, new RegExp(`^  ${verb} `, 'm'))
})

test('the registry names each verb as it is typed', () => {
  for (const [name, make] of Object.entries(commands)) assert.equal(make().name(), name)
})

function everyCommand(cmd: Command): Command[] {
  return [cmd, ...cmd.commands.flatMap(everyCommand)]
}
for (const make of Object.values(commands))
  for (const cmd of everyCommand(make())) {
    const path = [cmd.parent?.name(), cmd.name()].filter(Boolean).join(' ')
    test(`the help of ${path} shows an example, and --json where it prints a result`, () => {
      let text = ''
      cmd.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
      assert.match(text, new RegExp(`Examples?:\\n  fiducial ${path}`))
      if (cmd.commands.length === 0) assert.match(text, /--json/)
      assert.doesNotMatch(cmd.description(), /\n/, 'the terminal wraps it')
    })
  }

test('help loads no schema, no image library and no verb', async () => {
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context) } })`
  const { stderr } = await run(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(hook)}`,
    join(root, 'src', 'cli', 'main.ts'),
    '--help',
  ])
  assert.match(stderr, /cli\/registry\.ts/)
  assert.doesNotMatch(
    stderr,
    /\/(zod|sharp|onnxruntime-node|fastify)\/|\/src\/(verbs\/(?!\w+_text)|imaging|package)/,
  )
})

test('help takes less than 200 ms', async () => {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 10 && best >= 0.2; i++) best = Math.min(best, (await fiducial('--help')).seconds)
  assert.ok(best < 0.2, `${best} s`)
})

test('--version prints the version of package.json alone', async () => {
  assert.match((await fiducial('--version')).stdout, /^\d+\.\d+\.\d+\n$/)
})

test('an unknown verb names the nearest and exits 2', async () => {
  const { code, stdout, stderr } = await fiducial('trian')
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /Did you mean train\?/)
})

test('a missing argument, an unknown flag and a bad count exit 2 with one message', async () => {
  for (const args of [
    ['train'],
    ['train', 'r.yaml', '--epochs', '3'],
    ['train', 'r.yaml', '--workers', '0'],
  ]) {
    const { code, stderr } = await fiducial(...args)
    assert.equal(code, 2)
    assert.match(stderr, /^error: /)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})

test('with --json a mistake is one JSON object on stdout too', async () => {
  for (const args of [['train', 'absent.yaml'], ['train'], ['trian']]) {
    const { code, stdout } = await fiducial(...args, '--json')
    const printed = JSON.parse(stdout) as { error: string; exit_code: number }
    assert.deepEqual([code, printed.exit_code], [2, 2])
    assert.ok(printed.error.length > 0)
  }
})

test('a result is printed for a person, or as one JSON object and nothing else', async () => {
  const action = "context.io.log('working'); context.io.progress('half'); return { answer: 42 }"
  const plain = await runVerb(action)
  assert.deepEqual([plain.code, plain.stdout, plain.stderr], [0, 'for a person: 42\n', 'working\nhalf\n'])
  const json = await runVerb(action, '--json')
  assert.equal(json.stdout, '{"answer":42}\n')
  const quiet = await runVerb(action, '--json', '--quiet')
  assert.equal(quiet.stderr, '')
})

test('what needs attention exits 3 after the result', async () => {
  const { code, stdout, stderr } = await runVerb('return { answer: 0 }')
  assert.deepEqual([code, stdout, stderr], [3, 'for a person: 0\n', 'look at this\n'])
})

test("the user's mistakes exit 2, 3 and 75 with the message alone", async () => {
  for (const [name, expected] of [
    ['UserError', 2],
    ['AttentionError', 3],
    ['StoppedError', 75],
  ] as const) {
    const { code, stderr } = await runVerb(`throw new ${name}('do this instead')`)
    assert.deepEqual([code, stderr], [expected, 'do this instead\n'])
  }
})

test('a bug exits 1 with its stack, its cause and the request to report it', async () => {
  const { code, stderr } = await runVerb("throw new Error('boom', { cause: new Error('the fuse') })")
  assert.equal(code, 1)
  assert.match(
    stderr,
    /Error: boom\n {4}at [\s\S]*Caused by: Error: the fuse[\s\S]*This is a bug in fiducial/,
  )
})

test('SIGINT and SIGTERM abort the verb, which exits 75', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const action =
      "await new Promise((resolve) => { setTimeout(() => {}, 60_000).unref(); const t = setInterval(() => {}, 1000); context.io.signal.addEventListener('abort', () => { clearInterval(t); resolve() }); context.io.log('ready') }); throw new StoppedError('stopped')"
    const child = spawn(process.execPath, [
      '--input-type=module-typescript',
      '-e',
      verbScript(action),
      'verb',
    ])
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      if (stderr === '') child.kill(signal)
      stderr += chunk
    })
    const code = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(code, 75)
    assert.match(stderr, /^ready\nStopping at the next safe point[\s\S]*stopped\n$/)
  }
})

test('a second signal of either kind ends the verb at once', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const action = "setInterval(() => {}, 1000); context.io.log('ready'); await new Promise(() => {})"
    const child = spawn(process.execPath, [
      '--input-type=module-typescript',
      '-e',
      verbScript(action),
      'verb',
    ])
    child.stderr.on('data', () => child.kill(signal))
    assert.equal(await new Promise((resolve) => child.once('close', resolve)), 75)
  }
})

test('a full standard output, a folder that is gone and an empty argument exit 2 with one message', async () => {
  const gone = join(dir, 'gone')
  const scripts = [
    ["'$F' runs list > /dev/full", /^The result could not be written to standard output: ENOSPC/],
    ["'$F' --help > /dev/full", /^The result could not be written to standard output: ENOSPC/],
    [`mkdir '${gone}' && cd '${gone}' && rmdir '${gone}' && '$F' runs list`, /The working directory is gone/],
    ["'$F' inspect ''", /^An argument is empty/],
  ] as const
  for (const [script, message] of scripts) {
    if (script.includes('/dev/full') && !existsSync('/dev/full')) continue
    const { code, stderr } = await run('sh', ['-c', script.replace('$F', join(root, 'fiducial'))])
    assert.equal(code, 2, script)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})

test('a mistake points at the help of the very command', async () => {
  assert.match((await fiducial('runs', 'compare', 'one')).stderr, /\(\S*fiducial runs compare --help shows/)
})

test('a reader that closes the pipe ends the verb quietly', async () => {
  const { code, stderr } = await run('sh', ['-c', `'${root}fiducial' --help | true`])
  assert.deepEqual([code, stderr], [0, ''])
})

test('no colours reach a pipe, nor a terminal under NO_COLOR', async () => {
  const { stdout } = await fiducial('runs', 'list')
  assert.ok(!stdout.includes('\x1b'))
})

test('the launcher works through a symbolic link from another folder', async () => {
  await symlink(join(root, 'fiducial'), join(dir, 'linked'))
  assert.equal((await run(join(dir, 'linked'), ['--version'])).code, 0)
})

test('more threads than a machine has use for are refused in plain words', async () => {
  for (const line of [
    ['predict', 'package', 'a.png'],
    ['serve', 'package'],
  ]) {
    const { code, stderr } = await fiducial(...line, '--threads', '1e9')
    assert.equal(code, 2)
    assert.match(stderr, /--threads <n>.*at most 1024/)
  }
})

test('the launcher needs no PATH, and no compile cache that cannot be made', async () => {
  const cache = process.platform === 'linux' ? '/proc/x' : join(dir, 'absent')
  for (const env of [{ PATH: '/nonexistent' }, { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache }]) {
    const { code, stdout } = await run(join(root, 'fiducial'), ['--version'], env)
    assert.equal(code, 0)
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
  }
  const bare = join(dir, 'nothing here')
  await cp(join(root, 'fiducial'), join(bare, 'fiducial'))
  const { code, stderr } = await run(join(bare, 'fiducial'), [], { PATH: '/nonexistent' })
  assert.equal(code, 2)
  assert.match(
    stderr,
    /^fiducial is not set up[^\n]*\n {2}do: \(cd '[^\n]*\/nothing here' && npm run setup\)\n$/,
  )
})

test('a checkout that is not set up says which command sets it up', async () => {
  const bare = join(dir, "bare 'checkout'")
  await cp(join(root, 'fiducial'), join(bare, 'fiducial'))
  const { code, stderr } = await run(join(bare, 'fiducial'), ['--help'], { PATH: '/usr/bin:/bin' })
  assert.equal(code, 2)
  assert.match(stderr, /not set up here[\s\S]*npm run setup/)
})

test('an old Node on the host is told apart from none', async () => {
  const bare = join(dir, 'old')
  await cp(join(root, 'fiducial'), join(bare, 'fiducial'))
  await writeFile(join(bare, 'node'), '#!/bin/sh\necho v20.11.0\n', { mode: 0o755 })
  const { code, stderr } = await run(join(bare, 'fiducial'), [], { PATH: `${bare}:/usr/bin:/bin` })
  assert.equal(code, 2)
  assert.match(stderr, /v20\.11\.0 is older than 22\.18/)
})
