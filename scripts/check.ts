/** npm run check: every static check; all run, and each failure is named at the end. In CI a check that is skipped fails. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const python = '.venv/bin/python'
const checks: { name: string; command: string; args: string[]; needsPython: boolean }[] = [
  { name: 'types (tsc)', command: 'tsc', args: ['-p', '.'], needsPython: false },
  {
    name: 'style (biome)',
    command: 'biome',
    args: ['check', '--error-on-warnings', '.'],
    needsPython: false,
  },
  { name: 'boundaries', command: process.execPath, args: ['scripts/boundaries.ts'], needsPython: false },
  {
    name: 'generated files',
    command: process.execPath,
    args: ['scripts/generate.ts', '--check'],
    needsPython: false,
  },
  {
    name: 'style (ruff)',
    command: python,
    args: ['-m', 'ruff', 'check', 'engine', 'bench'],
    needsPython: true,
  },
  {
    name: 'format (ruff)',
    command: python,
    args: ['-m', 'ruff', 'format', '--check', 'engine', 'bench'],
    needsPython: true,
  },
  {
    name: 'types (mypy)',
    command: python,
    args: ['-m', 'mypy', '--config-file', 'engine/pyproject.toml', 'engine'],
    needsPython: true,
  },
]

const failed: string[] = []
for (const { name, command, args, needsPython } of checks) {
  if (needsPython && !existsSync(python)) {
    console.error(`${name}: skipped, there is no Python environment (npm run setup)`)
    if (process.env.CI) failed.push(name)
    continue
  }
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (error) console.error(error.message)
  console.error(`${name}: ${status === 0 ? 'passed' : 'FAILED'}`)
  if (status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.error(`\ncheck failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
