import assert from 'node:assert/strict'
import { test } from 'node:test'
import { violations } from './boundaries.ts'

const boundaries = {
  rooms: { schema: [], imaging: ['schema'], prepare: ['schema', 'imaging'] },
  browser: ['src/imaging/'],
  not_browser: ['src/imaging/raster_node.ts'],
}

test('an import of an allowed room passes, statically and dynamically', () => {
  const text = `import { a } from '../imaging/a.ts'\nconst b = await import('../schema/b.ts')\nimport './c.ts'`
  assert.deepEqual(violations('src/prepare/run.ts', text, boundaries), [])
})

test('an import against the flow is named', () => {
  const found = violations('src/imaging/a.ts', `import type { P } from '../prepare/run.ts'`, boundaries)
  assert.match(found.join(), /imaging may not import prepare/)
})

test('an import over several lines is seen', () => {
  const found = violations('src/imaging/a.ts', `import {\n  a,\n  b,\n} from '../prepare/run.ts'`, boundaries)
  assert.equal(found.length, 1)
})

test('a browser file may not import Node modules, the platform file may', () => {
  const text = `import { readFile } from 'node:fs/promises'`
  assert.equal(violations('src/imaging/a.ts', text, boundaries).length, 1)
  assert.deepEqual(violations('src/imaging/raster_node.ts', text, boundaries), [])
})

test('a room that boundaries.json does not list is named', () => {
  assert.match(violations('src/attic/a.ts', '', boundaries).join(), /"attic" is not in boundaries.json/)
})
