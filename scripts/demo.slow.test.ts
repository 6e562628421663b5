import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const skip = existsSync(join(root, '.venv', 'bin', 'python'))
  ? false
  : 'no Python environment; run "npm run setup"'

test('the demo names the planted patients, measures beside the optimum and sees a mirrored axis', {
  skip,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-demo-'))
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/demo.ts')], {
      cwd: dir,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /inspect names 6 leaks[\s\S]*refused, exit code 2/)
    const rows = [...stdout.matchAll(/measured (\S+) \[(\S+), (\S+)\] +best possible (\S+)/g)]
    assert.equal(rows.length, 2)
    for (const [row, measured, low, high, best] of rows) {
      assert.ok(Number(low) <= Number(measured) && Number(measured) <= Number(high), row)
      assert.ok(Number(measured) > 0.8, `it learnt: ${row}`)
      assert.ok(Number(low) <= Number(best), `nothing reads better than is possible: ${row}`)
    }
    assert.match(
      stdout,
      /certificate passed: \d+ checks[\s\S]*FAILED golden_tensors[\s\S]*fails, exit code 3/,
    )
    for (const name of ['report', 'package']) {
      const path = new RegExp(`^${name} +(/.*)$`, 'm').exec(stdout)?.[1]
      assert.ok(path?.includes(basename(dir)) && existsSync(path), `${name} ${path}`)
    }
    assert.match(stdout, /Now yours: {2}\.\/fiducial init <your folder>/)
  } finally {
    await rm(dir, { recursive: true })
  }
})
