import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DataConfig, Source } from '../schema/data.ts'
import { isSynthetic } from './is_synthetic.ts'

const data = (source: object) => DataConfig.parse({ root: 'a', source })
const cases = (synthetic?: string) => [{ attributes: {} }, { attributes: synthetic ? { synthetic } : {} }]

test('whatever a generator made is synthetic, whether or not its cases say so', () => {
  for (const kind of ['phantom', 'phantom_volumes'])
    assert.equal(isSynthetic({ data: data({ kind }) }, cases()), true, kind)
  assert.equal(isSynthetic({ data: data({ kind: 'decathlon' }) }, cases()), false)
})

test('every source whose name says phantom counts as generated', () => {
  const kinds = Source.options.map((option) => option.shape.kind.value)
  for (const kind of kinds.filter((one) => one.includes('phantom')))
    assert.equal(isSynthetic({ data: data({ kind }) }, []), true, kind)
})

test("a phantom's folder read as another source's is synthetic by the mark of its cases", () => {
  assert.equal(isSynthetic({ data: data({ kind: 'decathlon' }) }, cases('yes')), true)
})
