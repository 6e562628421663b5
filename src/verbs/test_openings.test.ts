import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { countTestOpenings, noteTestOpening } from './test_openings.ts'

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
