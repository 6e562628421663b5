import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { countTestOpenings, noteTestOpening } from './test_openings.ts'

test('a damaged line is no reason to prepare again', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-openings-'))
  try {
    await writeFile(join(dir, 'test_openings.jsonl'), '{"time": 3}\n')
    await assert.rejects(countTestOpenings(dir), /Line 1 [\s\S]*test_openings\.jsonl[\s\S]*correct that line/)
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('of openings noted at once none is lost', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-openings-'))
  try {
    assert.equal(await countTestOpenings(dir), 0)
    const opening = { time: '2026-11-21T10:00:00.000Z', step: 4 }
    const counts = await Promise.all(Array.from({ length: 20 }, () => noteTestOpening(dir, opening)))
    assert.equal(await countTestOpenings(dir), 20)
    assert.equal(Math.max(...counts), 20)
  } finally {
    await rm(dir, { recursive: true })
  }
})
