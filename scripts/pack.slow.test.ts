import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodePng } from '#raster'
import { writeTinyPackage } from '../src/package/testing/tiny_package.ts'

// What `npm pack` makes, installed in an empty project of somebody's.
const root = fileURLToPath(new URL('../', import.meta.url))
const python = join(root, '.venv', 'bin', 'python')

let project: string
let installed: string | false = false
before(async () => {
  project = await mkdtemp(join(tmpdir(), 'fiducial-pack-'))
  const tarball = join(project, 'fiducial-0.1.0.tgz')
  succeed('npm', ['run', '--silent', 'build'], root)
  succeed('npm', ['pack', '--silent', '--pack-destination', project], root)
  await writeFile(join(project, 'package.json'), '{ "name": "theirs", "private": true, "type": "module" }')
  await writeTinyPackage(join(project, 'package'))
  await mkdir(join(project, 'images'))
  const pixels = { height: 30, width: 40, channels: 1 as const, data: new Uint8Array(1200) }
  await writeFile(join(project, 'images', 'a.png'), await encodePng(pixels))
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  const { status, stderr } = run('npm', ['install', ...flags, tarball], project)
  if (status !== 0 && /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(stderr))
    installed = 'npm reaches no registry'
  else assert.equal(status, 0, stderr)
})
after(() => rm(project, { recursive: true }))

test("import { loadPackage } from 'fiducial' predicts in a project that installed the tarball", async (t) => {
  if (installed) return t.skip(installed)
  const code = `
    import { readFile } from 'node:fs/promises'
    import { loadPackage } from 'fiducial'
    const loaded = await loadPackage('package')
    const { predictions } = await loaded.predict([{ name: 'a.png', bytes: await readFile('images/a.png') }])
    await loaded.close()
    console.log(JSON.stringify(predictions[0].scores))`
  await writeFile(join(project, 'predict.js'), code)
  const scores = JSON.parse(succeed(process.execPath, ['predict.js'], project)) as Record<string, number>
  assert.deepEqual(Object.keys(scores), ['nodule', 'effusion'])
})

test('npx fiducial helps, predicts and decodes in worker processes, all from JavaScript', (t) => {
  if (installed) return t.skip(installed)
  assert.match(succeed('npx', ['fiducial', '--help'], project), /^Usage: fiducial/)
  const predicted = succeed('npx', ['fiducial', 'predict', 'package', 'images', '--json'], project)
  assert.equal((JSON.parse(predicted) as { predictions: unknown[] }).predictions.length, 1)
  succeed('npx', ['fiducial', 'init', 'phantom'], project)
  const small = ['--set', 'data.source.patients=20', '--set', 'data.source.size=48']
  const prepared = succeed(
    'npx',
    ['fiducial', 'prepare', 'recipe.yaml', '--workers', '2', '--json', ...small],
    project,
  )
  assert.ok((JSON.parse(prepared) as { cases: number }).cases > 20)
})

test('the types are found and hold', async (t) => {
  if (installed) return t.skip(installed)
  const code = `
    import { inspect, loadPackage } from 'fiducial'
    const loaded = await loadPackage('package')
    export const score: number = (await loaded.predict([])).predictions[0]!.scores.nodule!
    // @ts-expect-error a number of patients is no text
    export const patients: string = (await inspect('images')).patients`
  await writeFile(join(project, 'typed.ts'), code)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    strict: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
  succeed(join(root, 'node_modules', '.bin', 'tsc'), ['-p', '.'], project)
})

test('the installed package trains with the Python that FIDUCIAL_PYTHON names', (t) => {
  if (installed) return t.skip(installed)
  if (!existsSync(python)) return t.skip('no Python environment; run "npm run setup"')
  const sets = ['data.source.patients=20', 'data.source.size=48', 'model=mlp', 'train.epochs=1'].flatMap(
    (set) => ['--set', set],
  )
  const env = { FIDUCIAL_PYTHON: python }
  const trained = succeed('npx', ['fiducial', 'train', 'recipe.yaml', '--json', ...sets], project, env)
  assert.equal((JSON.parse(trained) as { status: string }).status, 'finished')
})

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  return spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env } })
}

/** What the command prints; a failure shows what it says. */
function succeed(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = run(command, args, cwd, env)
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}
