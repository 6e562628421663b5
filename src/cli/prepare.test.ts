import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { smallCases, writeDataSet } from '../prepare/testing/small_data_set.ts'
import { parse } from '../schema/parse.ts'
import { InspectResult, PrepareDryRun, PrepareResult, PrepareSliceResult } from '../schema/results.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-cli-prepare-'))
  const parts = ['train', 'train', 'test', 'val']
  await writeDataSet(
    join(dir, 'data'),
    smallCases(20).map((one, i) => ({ ...one, part: parts[i % 4]! })),
  )
  await writeFile(
    join(dir, 'recipe.yaml'),
    `name: small
data:
  root: ./data
  source: { kind: csv, file: labels.csv, image: file, case_id: id, patient: patient, labels: { columns: { finding: finding } } }
prepare: { size: [12, 16], shard_mb: 0.00192 }
task: { kind: classify, labels: [finding] }
`,
  )
})
after(() => rm(dir, { recursive: true }))

function fiducial(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, ...args], { cwd: dir }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  )
}

test('prepare --dry-run, prepare and prepare again: where, how much, reused', async () => {
  const planned = await fiducial('prepare', 'recipe.yaml', '--dry-run', '--json')
  const plan = parse(PrepareDryRun, JSON.parse(planned.stdout), 'stdout')
  assert.deepEqual([plan.cases, plan.shards, plan.bytes, plan.reused], [20, 2, 20 * 12 * 16, false])

  const made = await fiducial('prepare', 'recipe.yaml', '--json', '--workers', '1')
  assert.equal(made.code, 0, made.stderr)
  const result = parse(PrepareResult, JSON.parse(made.stdout), 'stdout')
  assert.equal(result.out, join(dir, 'prepared', result.set_id.slice(0, 12)))
  assert.deepEqual([result.cases, result.shards, result.reused], [20, 2, false])

  const again = await fiducial('prepare', 'recipe.yaml')
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stdout, /20 cases in 2 shards[\s\S]*there already/)
})

test('prepare says what it did: repaired, merged, or nothing', async () => {
  const made = await fiducial('prepare', 'recipe.yaml', '--out', 'mended')
  assert.match(made.stdout, /cases a second/)
  const shard = join(dir, 'mended/shards/00001.safetensors')
  await truncate(shard, 100)
  const mended = await fiducial('prepare', 'recipe.yaml', '--out', 'mended')
  assert.match(mended.stdout, /1 of them was damaged and made again/)
  assert.doesNotMatch(mended.stdout, /there already/)
  await truncate(shard, 100)
  const again = await fiducial('prepare', 'recipe.yaml', '--out', 'mended', '--json')
  const result = parse(PrepareResult, JSON.parse(again.stdout), 'stdout')
  assert.deepEqual([result.reused, result.repaired], [false, 1])
  const merged = await fiducial('prepare', 'recipe.yaml', '--out', 'mended', '--merge')
  assert.match(merged.stdout, /published already; nothing is left to merge/)
})

test('prepare --slice says what is left, and the last slice the set', async () => {
  const slice = (text: string) =>
    fiducial('prepare', 'recipe.yaml', '--slice', text, '--out', 'sliced', '--json')
  const first = parse(PrepareSliceResult, JSON.parse((await slice('1/2')).stdout), 'stdout')
  assert.deepEqual([first.set, first.missing_shards], [null, 1])
  const second = parse(PrepareSliceResult, JSON.parse((await slice('2/2')).stdout), 'stdout')
  assert.equal(second.set?.out, join(dir, 'sliced'))
  const refused = await fiducial('prepare', 'recipe.yaml', '--slice', '3/2')
  assert.equal(refused.code, 2)
  const both = await fiducial('prepare', 'recipe.yaml', '--slice', '1/2', '--update')
  assert.equal(both.code, 2)
})

test('prepare with a file that cannot be read exits 3: nothing is published, or with leave to, the rest is', async () => {
  await writeDataSet(join(dir, 'broken'), smallCases(20))
  await truncate(join(dir, 'broken/images/c0004.png'), 50)
  const broken = ['prepare', 'recipe.yaml', '--set', 'data.root=./broken', '--json']
  const refused = await fiducial(...broken)
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /1 case could not be read[\s\S]*c0004/)
  const allowed = await fiducial(...broken, '--set', 'data.max_quarantined=1')
  assert.equal(allowed.code, 3, allowed.stderr)
  assert.match(allowed.stderr, /made without 1 case/)
  assert.equal(parse(PrepareResult, JSON.parse(allowed.stdout), 'stdout').quarantined[0]?.case_id, 'c0004')
})

test('flags that a plan or a slice would not heed are refused', async () => {
  for (const flags of [
    ['--dry-run', '--slice', '1/2'],
    ['--dry-run', '--update'],
    ['--dry-run', '--merge'],
    ['--slice', '1/2', '--verify'],
  ]) {
    const { code, stderr } = await fiducial('prepare', 'recipe.yaml', ...flags)
    assert.equal(code, 2, flags.join(' '))
    assert.match(stderr, /--dry-run plans a whole new set|--verify checks a whole set/)
  }
})

test('inspect prints tables for a person and one object with --json', async () => {
  const person = await fiducial('inspect', 'recipe.yaml')
  assert.equal(person.code, 0, person.stderr)
  assert.match(person.stdout, /20 cases of 10 patients/)
  assert.match(person.stdout, /finding +8 +12 +0 +40\.0%/)
  const json = await fiducial('inspect', 'data', '--json')
  const result = parse(InspectResult, JSON.parse(json.stdout), 'stdout')
  assert.equal(result.leaks.length, 5)
  assert.deepEqual(result.leaks[0]?.splits, ['val', 'test'])
})
