import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
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

test('the demo of volumes finds the organ, gives the mask back in place and sees swapped sides', {
  skip,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-demo-volumes-'))
  try {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'scripts/demo.ts'), 'volumes'],
      { cwd: dir, encoding: 'utf8' },
    )
    assert.equal(status, 0, stderr)
    assert.match(stdout, /Lesion +in \d+ volumes, absent from [1-9]/)
    const dice = Object.fromEntries(
      [...stdout.matchAll(/(Organ|Lesion) +(0\.\d+) \[(\S+), (\S+)\] +found in/g)].map(
        ([row, name, value, low, high]) => {
          assert.ok(Number(low) <= Number(value) && Number(value) <= Number(high), row)
          return [name, Number(value)]
        },
      ),
    )
    assert.ok(dice.Organ! > 0.8 && dice.Lesion! > 0.5, JSON.stringify(dice))
    assert.match(stdout, /is stored [A-Z]{3}, tilted: [\s\S]*the same shape and affine/)
    const [right, wrong] = [
      ...stdout.matchAll(/Organ +predicted +(\S+) ml +true +(\S+) ml +Dice (\S+)/g),
    ].map(([, predicted, truth, overlap]) => ({
      error: Math.abs(Number(predicted) - Number(truth)) / Number(truth),
      dice: Number(overlap),
    }))
    assert.ok(right!.error < 0.25 && right!.dice > 0.75, JSON.stringify(right))
    assert.ok(wrong!.dice < 0.2, JSON.stringify(wrong))
    assert.match(stdout, /certificate passed: \d+ checks[\s\S]*FAILED golden_tensors[\s\S]*exit code 3/)
    for (const name of ['report', 'package', 'mask']) {
      const path = new RegExp(`^${name} +(\\S+)$`, 'm').exec(stdout)?.[1]
      assert.ok(
        path !== undefined && existsSync(join(path.startsWith('/') ? '' : dir, path)),
        `${name} ${path}`,
      )
    }
    const report = readFileSync(/^report +(\S+)$/m.exec(stdout)![1]!, 'utf8')
    assert.match(report, /Synthetic data/)
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('a demo that does not exist is a mistake that names those that do', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/demo.ts'), 'audio'], {
    encoding: 'utf8',
  })
  assert.equal(status, 2)
  assert.match(stdout, /npm run demo -- volumes/)
})
