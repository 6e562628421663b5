import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

test('everything but what a # import stands for in Node runs in a browser: no Node modules, no Buffer, no process', () => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.ts$/.test(file) && !/\.test\.ts$|_node\.ts$|\btesting\//.test(file),
  )
  assert.ok(files.includes('preprocess.ts') && files.includes(join('nifti', 'read.ts')))
  for (const file of files) {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8')
    for (const [, from] of source.matchAll(/from '([^']+)'/g))
      assert.match(from!, /^(\.\.?\/.*\.ts|#[a-z]+|(?!sharp)[@a-z][^:]*)$/, `${file} imports ${from}`)
    assert.doesNotMatch(
      source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
      /\b(Buffer|process)\.|\brequire\(/,
      file,
    )
  }
})
