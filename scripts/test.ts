/**
 * npm test and npm run test:slow: node:test over src/, scripts/ and the end-to-end files, then pytest.
 * In CI pytest that is skipped fails. Arguments narrow it: `npm test -- evaluate` runs the files whose path holds the word.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const args = process.argv.slice(2)
const slow = args.includes('--slow')
const words = args.filter((arg) => !arg.startsWith('--'))
const matches = (file: string) => words.length === 0 || words.some((word) => file.includes(word))

const files = globSync(['src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'])
  .filter((file) => file.endsWith('.slow.test.ts') === slow && matches(file))
  .sort()
const concurrency = Math.max(1, Math.min(slow ? 1 : 2, availableParallelism()))
const failed: string[] = []

function run(name: string, command: string, commandArgs: string[]): void {
  const started = Date.now()
  const { status, error } = spawnSync(command, commandArgs, {
    stdio: 'inherit',
    env: { ...process.env, PYTHONPATH: 'engine' },
  })
  if (error) console.error(error.message)
  console.error(
    `${name}: ${status === 0 ? 'passed' : 'FAILED'} in ${Math.round((Date.now() - started) / 1000)} s`,
  )
  if (status !== 0) failed.push(name)
}

if (files.length > 0)
  run('node:test', process.execPath, [
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-reporter=spec',
    ...files,
  ])
const python = '.venv/bin/python'
const hasPytest = matches('engine/tests')
if (hasPytest && !existsSync(python)) {
  console.error('pytest: skipped, there is no Python environment (npm run setup)')
  if (process.env.CI) failed.push('pytest')
} else if (hasPytest)
  run('pytest', python, [
    '-m',
    'pytest',
    '-q',
    '-c',
    'engine/pyproject.toml',
    '--rootdir',
    'engine',
    '-m',
    slow ? 'slow' : 'not slow',
    'engine/tests',
  ])

if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`)
  process.exitCode = 1
}
