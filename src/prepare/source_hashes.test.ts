import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stampFile } from '../storage/local.ts'
import { SourceHashes } from './source_hashes.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-hashes-'))
})
after(() => rm(dir, { recursive: true }))

test('processes that save at the same time keep what each of them learnt', async () => {
  const paths = ['a', 'b', 'c', 'd'].map((name) => join(dir, name))
  const opened = await Promise.all(paths.map(() => SourceHashes.open(join(dir, 'sets'))))
  for (const [i, path] of paths.entries()) {
    await writeFile(path, path)
    opened[i]!.remember(path, (await stampFile(path))!, String(i).repeat(64))
  }
  await Promise.all(opened.map((hashes) => hashes.save()))
  const later = await SourceHashes.open(join(dir, 'sets'))
  for (const [i, path] of paths.entries())
    assert.equal((await later.look(path)).sha256, String(i).repeat(64), path)
  assert.deepEqual(await readdir(join(dir, 'sets/private')), ['source_hashes.jsonl'])
})
