import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import {
  freeBytes,
  linkOrCopy,
  listFolder,
  makeFolder,
  readTextIfExists,
  sha256,
  sha256File,
  shortPath,
  stampFile,
  writeAtomic,
} from './local.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-storage-'))
})
after(() => rm(dir, { recursive: true }))

test('a file is replaced whole and leaves nothing else behind', async () => {
  const path = join(dir, 'deep/er/file.txt')
  await writeAtomic(path, 'one')
  await writeAtomic(path, 'two')
  assert.equal(await readTextIfExists(path), 'two')
  assert.deepEqual(await readdir(join(dir, 'deep/er')), ['file.txt'])
})

test('a private file is for its owner alone', async () => {
  const path = join(dir, 'private.txt')
  await writeAtomic(path, 'secret', { isPrivate: true })
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a private folder is for its owner alone, those above it are not', async () => {
  await makeFolder(join(dir, 'open/private'), { isPrivate: true })
  assert.equal((await stat(join(dir, 'open/private'))).mode & 0o777, 0o700)
  assert.notEqual((await stat(join(dir, 'open'))).mode & 0o777, 0o700)
})

test('a folder made by several at once, or through a link, is there for all of them', async () => {
  await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(dir, 'many/levels/deep'))))
  await symlink(join(dir, 'many'), join(dir, 'link'))
  await makeFolder(join(dir, 'link/other'))
  assert.deepEqual(await listFolder(join(dir, 'many')), ['levels', 'other'])
})

test('a folder that cannot be made is named at once, be it in /proc or below a file', async () => {
  await writeFile(join(dir, 'a-file'), '')
  for (const path of ['/proc/x/y', join(dir, 'a-file'), join(dir, 'a-file/x')]) {
    if (path.startsWith('/proc') && process.platform !== 'linux') continue
    await assert.rejects(
      makeFolder(path),
      (error) => error instanceof UserError && /\n {2}at: (\/proc\/x|.*a-file)/.test(error.message),
    )
  }
})

test('a folder in the place of a file is named, with what to do', async () => {
  await assert.rejects(
    readTextIfExists(dir),
    (error) => error instanceof UserError && error.message.includes(dir),
  )
})

test('a name that is too long is a mistake; of a long path the middle is left out', async () => {
  const long = join(dir, 'a'.repeat(300), 'b.png')
  await assert.rejects(
    readTextIfExists(long),
    (error) =>
      error instanceof UserError &&
      error.message.includes(`${dir}/aaa`) &&
      /…a+\/b\.png$/.test(error.message),
  )
  assert.equal(shortPath(long).length, 200)
})

test('a folder that may not be written to is named', {
  skip: process.getuid?.() === 0 ? 'root may write anywhere' : false,
}, async () => {
  const closed = join(dir, 'closed')
  await writeAtomic(join(closed, 'a'), '')
  await chmod(closed, 0o500)
  await assert.rejects(writeAtomic(join(closed, 'b'), 'x'), /Permission denied/)
})

test('a streamed hash equals that of the whole', async () => {
  const bytes = Buffer.alloc(3_000_001, 7)
  await writeFile(join(dir, 'large'), bytes)
  assert.equal(await sha256File(join(dir, 'large')), sha256(bytes))
})

test('a stamp changes with size or modification time, and is null without a file', async () => {
  const path = join(dir, 'stamped')
  await writeFile(path, 'a')
  const first = await stampFile(path)
  await writeFile(path, 'b')
  const second = await stampFile(path)
  assert.equal(first?.size, 1)
  assert.notEqual(first?.mtime_ns, second?.mtime_ns)
  assert.equal(await stampFile(join(dir, 'nothing')), null)
  assert.equal(await stampFile(dir), null)
})

test('a linked file stays when the first name goes, and linking again changes nothing', async () => {
  const [from, to] = [join(dir, 'from'), join(dir, 'links')]
  await writeFile(from, 'pixels')
  await linkOrCopy(from, to)
  await linkOrCopy(from, to)
  await rm(from)
  assert.equal(await readFile(to, 'utf8'), 'pixels')
  assert.equal(
    (await listFolder(dir)).some((name) => name.endsWith('.tmp')),
    false,
  )
})

test('free space is that of the nearest folder that exists', async () => {
  assert.ok(((await freeBytes(join(dir, 'not/there/yet'))) ?? 1) > 0)
})
