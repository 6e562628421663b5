import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makePhantoms } from '../package/phantoms.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import { quietIo } from './io.ts'
import { predict } from './predict.ts'
import { readPredictionTables } from './prediction_tables.ts'

const phantoms = await makePhantoms(TINY_SPEC)
const [png, , jpeg, tiff] = phantoms.map((p) => p.bytes) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
let scratch = ''
let pkg = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-predict-'))
  pkg = join(scratch, 'pkg')
  await writeTinyPackage(pkg)
})
after(() => rm(scratch, { recursive: true, force: true }))

async function folder(files: Record<string, Uint8Array | string>): Promise<string> {
  const dir = await mkdtemp(join(scratch, 'images-'))
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(dir, name)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, bytes)
  }
  return dir
}

test('files come in the order given, those of a folder in the order of their paths, however they are batched', async () => {
  const dir = await folder({
    'b/2.jpg': jpeg,
    'a/1.png': png,
    'c.TIF': tiff,
    'notes.txt': 'x',
    '.hidden.png': png,
  })
  const single = join(dir, 'c.TIF')
  for (const batch of [1, 2, 8]) {
    const result = await predict(pkg, [single, dir], { batch }, quietIo())
    assert.deepEqual(
      result.predictions.map((p) => p.file),
      [single, join(dir, 'a/1.png'), join(dir, 'b/2.jpg'), single],
    )
    assert.deepEqual(
      result.predictions.slice(1, 3).map((p) => p.case_id),
      ['a/1', 'b/2'],
    )
  }
})

test('a file whose name promises another format is scored, with a warning', async () => {
  const dir = await folder({ 'a.png': jpeg, 'b.jpg': jpeg })
  const { predictions } = await predict(pkg, [dir], {}, quietIo())
  assert.deepEqual(
    predictions.map((p) => p.warnings.some((warning) => /ends in \.png but the file is JPEG/.test(warning))),
    [true, false],
  )
})

test('an unreadable file is listed with its reason; the others are scored', async () => {
  const dir = await folder({
    'ok.png': png,
    'empty.png': '',
    'text.png': 'not a picture',
    'svg.png': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    'cut.jpg': jpeg.subarray(0, jpeg.length / 2),
    'jpeg-named.png': jpeg,
  })
  const { predictions, failed } = await predict(pkg, [dir], {}, quietIo())
  assert.deepEqual(
    predictions.map((p) => p.case_id),
    ['jpeg-named', 'ok'],
  )
  assert.deepEqual(
    failed.map((f) => f.file.slice(dir.length + 1)),
    ['cut.jpg', 'empty.png', 'svg.png', 'text.png'],
  )
  for (const { reason } of failed) assert.ok(reason.length > 10)
})

test('hostile names are names: spaces, quotes, newlines, dashes, percent signs', async () => {
  const names = [
    'a b.png',
    '"q\'.png',
    'new\nline.png',
    '--json.png',
    '%2e%2e.png',
    'ü💡.png',
    '=1+1.png',
    'a,b.png',
  ]
  const dir = await folder(Object.fromEntries(names.map((name) => [name, png])))
  const out = join(scratch, 'hostile')
  const { predictions, failed } = await predict(pkg, [dir], { out }, quietIo())
  assert.deepEqual(failed, [])
  assert.deepEqual(predictions.map((p) => p.file.slice(dir.length + 1)).sort(), names.sort())
  const { parse } = await import('csv-parse/sync')
  const rows: string[][] = parse(await readFile(join(out, 'predictions.csv')))
  assert.equal(rows.length, names.length + 1)
  assert.deepEqual(
    rows
      .slice(1)
      .map((row) => row[5]!.slice(dir.length + 1))
      .sort(),
    names.sort(),
  )
})

test('the tables written are what "evaluate --predictions" reads; failures have a table of their own', async () => {
  const dir = await folder({ '1.png': png, '2.jpg': jpeg, 'bad.png': 'x' })
  const out = join(scratch, 'tables')
  await predict(pkg, [dir], { out }, quietIo())
  const labels = join(scratch, 'labels.csv')
  await writeFile(labels, 'case_id,nodule,effusion\n1,1,0\n2,0,1\n')
  const { predictions } = await readPredictionTables(join(out, 'predictions.csv'), labels)
  assert.deepEqual(
    predictions.map((p) => p.case_id),
    ['1', '2'],
  )
  assert.match(await readFile(join(out, 'failed.csv'), 'utf8'), /bad\.png/)
  assert.equal(JSON.parse(await readFile(join(out, 'predictions.json'), 'utf8')).failed.length, 1)
})

test('a case id that a spreadsheet would compute is text in the table, and itself again in "evaluate"', async () => {
  const out = join(scratch, 'formula')
  await predict(pkg, [await folder({ '=1+1.png': png, '2.jpg': jpeg })], { out }, quietIo())
  assert.match(await readFile(join(out, 'predictions.csv'), 'utf8'), /^'=1\+1,0\.\d/m)
  const labels = join(scratch, 'formula-labels.csv')
  await writeFile(labels, 'case_id,nodule\n=1+1,1\n2,0\n')
  const { predictions } = await readPredictionTables(join(out, 'predictions.csv'), labels)
  assert.deepEqual(predictions.map((p) => p.case_id).sort(), ['2', '=1+1'])
})

test('names that are not UTF-8, of files and of folders, are listed as failed', {
  skip: process.platform === 'linux' ? false : 'the file system takes UTF-8 names only',
}, async () => {
  const dir = await folder({ 'a.png': png })
  const bytes = (name: string) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')])
  await writeFile(bytes('\xfc.png'), png)
  await mkdir(bytes('m\xfcller'))
  const { predictions, failed } = await predict(pkg, [dir, join(dir, '\ufffd.png')], {}, quietIo())
  assert.equal(predictions.length, 1)
  assert.deepEqual(
    failed.map(({ file, reason }) => [file.slice(dir.length + 1), /not UTF-8/.test(reason)]),
    [
      ['m\ufffdller', true],
      ['\ufffd.png', true],
      ['\ufffd.png', true],
    ],
  )
})

test('two files with one stem keep their extensions as case ids', async () => {
  const dir = await folder({ 'a.png': png, 'a.jpg': jpeg })
  const { predictions } = await predict(pkg, [dir], {}, quietIo())
  assert.deepEqual(predictions.map((p) => p.case_id).sort(), ['a.jpg', 'a.png'])
})

test('a path that names nothing, and a folder without images, say so', async () => {
  await assert.rejects(predict(pkg, [join(scratch, 'nowhere')], {}, quietIo()), UserError)
  const both = [join(scratch, 'nowhere'), join(scratch, 'neither')]
  await assert.rejects(predict(pkg, both, {}, quietIo()), /nowhere/)
  const dir = await folder({ 'notes.txt': 'x' })
  await assert.rejects(predict(pkg, [dir], {}, quietIo()), /No image in/)
})

test('one path of several that names nothing is listed as failed', async () => {
  const dir = await folder({ 'a.png': png })
  const nowhere = join(scratch, 'nowhere.png')
  const { predictions, failed } = await predict(pkg, [join(dir, 'a.png'), nowhere], {}, quietIo())
  assert.equal(predictions.length, 1)
  assert.deepEqual(
    failed.map((f) => f.file),
    [nowhere],
  )
  assert.match(failed[0]!.reason, /No such file/)
})

test('a run stands for the package in it', async () => {
  const run = await folder({ 'run.json': '{}' })
  const dir = await folder({ 'a.png': png })
  await assert.rejects(predict(run, [dir], {}, quietIo()), /has no package yet[\s\S]*fiducial package/)
  await writeTinyPackage(join(run, 'package'))
  assert.equal((await predict(run, [dir], {}, quietIo())).predictions.length, 1)
})

test('a folder that links to itself ends, and a dangling link is listed as failed', async () => {
  const dir = await folder({ 'a.png': png })
  await symlink(dir, join(dir, 'loop'))
  await symlink(join(dir, 'gone'), join(dir, 'dangling.png'))
  const { predictions, failed } = await predict(pkg, [dir], {}, quietIo())
  assert.equal(predictions.length, 1)
  assert.match(failed[0]!.file, /dangling\.png$/)
})

test('stopped by a signal nothing is written', async () => {
  const dir = await folder(Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${i}.png`, png])))
  const out = join(scratch, 'stopped')
  const io = { ...quietIo(), signal: AbortSignal.abort() }
  await assert.rejects(predict(pkg, [dir], { out, batch: 1 }, io), StoppedError)
  await assert.rejects(readFile(join(out, 'predictions.json')))
})

test('the public API predicts', async () => {
  const { loadPackage } = await import('../index.ts')
  const loaded = await loadPackage(pkg)
  const { predictions } = await loaded.predict([{ name: 'x.png', bytes: png }])
  await loaded.close()
  assert.equal(predictions.length, 1)
})
