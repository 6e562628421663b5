import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

test('everything but raster_node.ts runs in a browser: no Node modules, no Buffer, no process', () => {
  const files = readdirSync(import.meta.dirname).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'raster_node.ts',
  )
  assert.ok(files.includes('preprocess.ts'))
  for (const file of files) {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8')
    for (const [, from] of source.matchAll(/from '([^']+)'/g))
      assert.match(from!, /^(\.\.?\/.*\.ts|#raster)$/, `${file} imports ${from}`)
    assert.doesNotMatch(
      source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
      /\b(Buffer|process)\.|\brequire\(/,
      file,
    )
  }
})
