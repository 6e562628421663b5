import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

// The set-up run as a whole, in a copy of the checkout where something is missing.
const root = fileURLToPath(new URL('../../', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'fiducial-setup-'))
after(() => rmSync(copy, { recursive: true }))
for (const file of [
  'package.json',
  'package-lock.json',
  '.npmrc',
  'engine/requirements.lock',
  'engine/uv.lock.txt',
])
  cpSync(join(root, file), join(copy, file))
for (const file of ['setup.mjs', 'setup'])
  cpSync(join(root, 'scripts', file), join(copy, 'scripts', file), { recursive: true })

/** Programs on the path: Node and what is given, name → shell script. */
function pathWith(programs: Record<string, string>): string {
  const bin = mkdtempSync(join(copy, 'bin-'))
  symlinkSync(process.execPath, join(bin, 'node'))
  symlinkSync('/bin/sh', join(bin, 'sh'))
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  return bin
}

function setUp(args: readonly string[], env: NodeJS.ProcessEnv): { status: number | null; stderr: string } {
  const { npm_execpath: _, FIDUCIAL_SETUP_PYTHON: __, ...rest } = process.env
  return spawnSync(process.execPath, ['scripts/setup.mjs', ...args], {
    cwd: copy,
    encoding: 'utf8',
    env: { ...rest, ...env },
  })
}

/** Marks the Node packages as installed. */
function stampNode(): void {
  const hash = createHash('sha256')
    .update(readFileSync(join(copy, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex')
  mkdirSync(join(copy, 'node_modules'), { recursive: true })
  writeFileSync(join(copy, 'node_modules', '.fiducial-setup'), hash)
}

const PYTHON = 'echo 3 12 True'

test('a registry that cannot be reached is one message with what to do', () => {
  const npm = {
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(copy, 'cache'),
  }
  const { status, stderr } = setUp(['--without-python'], {
    ...npm,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
  })
  assert.equal(status, 2, stderr)
  assert.match(
    stderr,
    /Installing the Node packages failed: a package registry could not be reached[\s\S]*HTTPS_PROXY/,
  )
  assert.doesNotMatch(stderr, /\n {4}at /)
})

test('without Python, or with one too old, the set-up says what it found and what works without', () => {
  stampNode()
  const none = setUp([], { PATH: pathWith({}) })
  assert.equal(none.status, 2)
  assert.match(none.stderr, /No Python from 3\.10 on was found\.[\s\S]*--without-python/)
  const old = setUp([], { PATH: pathWith({ python3: 'echo 3 8 True' }) })
  assert.match(old.stderr, /was found \(python3 is 3\.8\)/)
  const wrong = setUp([], { PATH: pathWith({}), FIDUCIAL_SETUP_PYTHON: '/no/python' })
  assert.match(wrong.stderr, /FIDUCIAL_SETUP_PYTHON names \/no\/python, which does not run/)
})

test('a driver too old for every build, and a Python without torch or pip, are named', () => {
  stampNode()
  const driver = setUp([], { PATH: pathWith({ python3: PYTHON, 'nvidia-smi': 'echo 470.82.01, 8.0' }) })
  assert.equal(driver.status, 2)
  assert.match(driver.stderr, /NVIDIA driver is 470\.82; [\s\S]*--torch cpu/)
  const noPip = 'case "$1" in -c) echo 3 12 True ;; *) exit 1 ;; esac'
  const bare = setUp(['--torch', 'cpu'], { PATH: pathWith({ python3: noPip }) })
  assert.match(bare.stderr, /python3 has neither pip nor venv[\s\S]*apt install/)
})

test('set up already, it ends at once; an unknown flag shows the known ones', () => {
  stampNode()
  const started = performance.now()
  assert.equal(setUp(['--without-python'], {}).status, 0)
  assert.ok(performance.now() - started < 2000)
  const unknown = setUp(['--gpu'], {})
  assert.equal(unknown.status, 2)
  assert.match(unknown.stderr, /Unknown argument --gpu\.[\s\S]*--torch existing/)
})
