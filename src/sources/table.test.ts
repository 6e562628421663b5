import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { columnIndex, parseTable } from './table.ts'

const table = (text: string, name = 'labels.csv') => parseTable(Buffer.from(text), `/data/${name}`)
const cells = (text: string, name?: string) => table(text, name).rows.map((row) => row.cells)

test('a byte-order mark, CRLF and blank lines leave no trace in names and cells', () => {
  const { columns, rows } = table('\uFEFFfile,label\r\na.png,x\r\n\r\nb.png,y\r\n')
  assert.deepEqual(columns, ['file', 'label'])
  assert.deepEqual(
    rows.map((row) => row.cells),
    [
      ['a.png', 'x'],
      ['b.png', 'y'],
    ],
  )
  assert.deepEqual(
    rows.map((row) => row.line),
    [2, 4],
  )
})

test('quoted cells keep separators, quotes and line breaks', () => {
  assert.deepEqual(cells('file,note\n"a,1.png","said ""hi""\nthen left"\n'), [
    ['a,1.png', 'said "hi"\nthen left'],
  ])
})

test('empty cells stay empty and a row of nothing but separators is no row', () => {
  assert.deepEqual(cells('a,b,c\n1,,3\n,,\n'), [['1', '', '3']])
})

test('the separator may be a semicolon or a tab', () => {
  assert.deepEqual(cells('file;age\na.png;4,5\n'), [['a.png', '4,5']])
  assert.deepEqual(cells('file\tlabel\na.png\tx, y\n'), [['a.png', 'x, y']])
  assert.deepEqual(cells('a,b\tc\n1,2\t3\n', 'labels.tsv'), [['1,2', '3']])
})

test('a spreadsheet export in UTF-16 is read', () => {
  const bytes = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('file\tlabel\nä.png\tx\n', 'utf16le')])
  assert.deepEqual(parseTable(bytes, 'export.txt').rows[0]!.cells, ['ä.png', 'x'])
})

test('text in another encoding is refused with how to convert it', () => {
  assert.throws(() => parseTable(Buffer.from('file,label\nm\xfcller.png,x\n', 'latin1'), 'labels.csv'), {
    name: 'UserError',
    message: /not UTF-8[\s\S]*do: .*CSV UTF-8/,
  })
})

test('a binary file is refused', () => {
  assert.throws(() => parseTable(new Uint8Array(64), 'labels.csv'), /has a NUL byte on line 1,/)
})

test('an empty file is refused', () => {
  assert.throws(() => table(''), /labels\.csv is empty/)
})

test('an open quote is an error that names the line', () => {
  assert.throws(
    () => table('file,label\n"a.png,x\n'),
    (error: Error) => {
      assert(error instanceof UserError)
      assert.match(error.message, /not a well-formed table.*line 2|Quote Not Closed/)
      return true
    },
  )
})

test('rows that do not fit the header are counted and their lines named', () => {
  assert.throws(
    () => table('file,label\na.png,x,extra\nb.png\nc.png,y\n'),
    /2 of 3 rows do not fit[\s\S]*lines: 2, 3/,
  )
})

test('a missing column is an error that names the columns found and the nearest', () => {
  assert.throws(() => columnIndex(table('file,patient_id\na.png,1\n'), 'patientid', 'data.source.patient'), {
    message: /no column "patientid"; did you mean "patient_id"\?\n {2}columns found: "file", "patient_id"/,
  })
})

test('a column named twice cannot be asked for', () => {
  assert.throws(() => columnIndex(table('x,x\n1,2\n'), 'x', 'data.source.image'), /two columns named "x"/)
})
