import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { readLabels } from './label_cells.ts'
import { randomStream } from './random_stream.ts'
import { parseTable } from './table.ts'

const ALPHABET = [
  'a',
  'B',
  '0',
  ' ',
  ',',
  ';',
  '\t',
  '"',
  "'",
  '|',
  '\n',
  '\r\n',
  'é',
  '☠',
  '\u202e',
  '\\',
  '-',
  '=',
]

test('20,000 tables of awkward cells are read as they were written', () => {
  for (let seed = 0; seed < 20_000; seed++) {
    const random = randomStream('round trip', seed)
    const cell = () =>
      Array.from({ length: random.int(0, 6) }, () => ALPHABET[random.int(0, ALPHABET.length - 1)]).join('')
    const rows = Array.from({ length: random.int(1, 4) }, (_, i) => [`row${i}`, cell(), cell()])
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
    const newline = random.uniform() < 0.5 ? '\n' : '\r\n'
    const text = `${random.uniform() < 0.5 ? '\uFEFF' : ''}id,x,y${newline}${rows.map((row) => row.map(quote).join(',')).join(newline)}${newline}`
    const read = parseTable(Buffer.from(text), 'fuzz.csv').rows.map((row) => row.cells)
    assert.deepEqual(read, rows, JSON.stringify(text))
  }
})

test('100,000 damaged tables are read or refused with a message, never with another error', () => {
  const good = Buffer.from(
    '\uFEFFfile,patient,label\r\n"a, 1.png",1,"x|y"\r\nb.png,2,z\r\n"c ""q"".png",3,\r\n',
  )
  for (let seed = 0; seed < 100_000; seed++) {
    const random = randomStream('damage', seed)
    const bytes = Buffer.from(good.subarray(0, random.int(0, good.length)))
    for (let i = random.int(0, 6); i > 0 && bytes.length > 0; i--)
      bytes[random.int(0, bytes.length - 1)] =
        random.uniform() < 0.5 ? random.int(0, 255) : [34, 44, 10, 13, 0][random.int(0, 4)]!
    try {
      const table = parseTable(bytes, 'fuzz.csv')
      const column = table.columns.at(-1)!
      readLabels({ column, separator: '|', negative: ['z'], unknown: [''] }, table, ['x', 'y'])
    } catch (cause) {
      assert(cause instanceof UserError, `seed ${seed}: ${(cause as Error).stack}`)
    }
  }
})
