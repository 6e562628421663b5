import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvText, withoutGuard } from './csv.ts'

test('separators, quotes and line ends are quoted; numbers stay numbers', () => {
  assert.equal(csvText([['a,b', '"q"', 'x\ny', -1e-7, '']]), '"a,b","""q""","x\ny",-1e-7,\n')
})

test('text that a spreadsheet would compute is marked as text, and can be had back', () => {
  for (const text of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1']) {
    const [row] = csvText([[text]]).split('\n')
    assert.equal(row?.replace(/^"/, '').startsWith("'"), true, JSON.stringify(text))
    assert.equal(withoutGuard(`'${text}`), text)
  }
  for (const text of ['a=1', "'tis", "'"]) assert.equal(withoutGuard(text), text)
})
