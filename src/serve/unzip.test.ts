import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zipSync } from 'fflate'
import { UserError } from '../schema/errors.ts'
import { unzip } from './unzip.ts'

const LIMITS = { bytes: 1e9, files: 100 }
const text = (value: string) => new TextEncoder().encode(value)

/** Sets a number in each header of a record kind; offsets are those of the zip format. */
function patched(archive: Uint8Array, signature: number, offset: number, value: number, size: 2 | 4) {
  const copy = archive.slice()
  const view = new DataView(copy.buffer)
  for (let at = 0; at + 4 <= copy.length; at++)
    if (view.getUint32(at, true) === signature) {
      if (size === 2) view.setUint16(at + offset, value, true)
      else view.setUint32(at + offset, value, true)
    }
  return copy
}
const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50

test('files come out as they went in, deflated or stored, without folders and what desktops leave', async () => {
  const archive = zipSync({
    'series/1.dcm': text('one '.repeat(100)),
    'series/': new Uint8Array(),
    'series/2.dcm': [text('two'), { level: 0 }],
    '__MACOSX/series/._1.dcm': text('x'),
    'series/.DS_Store': text('x'),
    DICOMDIR: text('x'),
    'back\\slash.nii': text('three'),
  })
  const files = await unzip(archive, LIMITS)
  assert.deepEqual(
    files.map(({ name, bytes }) => [name, new TextDecoder().decode(bytes).slice(0, 5)]),
    [
      ['series/1.dcm', 'one o'],
      ['series/2.dcm', 'two'],
      ['back/slash.nii', 'three'],
    ],
  )
})

test('paths that lead out of the archive are names like any other', async () => {
  const [file] = await unzip(zipSync({ '../../etc/passwd': text('x'), '/abs': text('y') }), LIMITS)
  assert.equal(file!.name, '../../etc/passwd')
})

test('an archive that claims too much is refused before anything is inflated', async () => {
  const small = zipSync({ a: new Uint8Array(1000) })
  const claims = (bytes: number) => patched(small, CENTRAL, 24, bytes, 4)
  await assert.rejects(unzip(claims(2e9), LIMITS), /claims to hold 2000 MB; at most 64 MB/)
  await assert.rejects(unzip(claims(65e6), LIMITS), /claims to hold 65 MB/)
  const rich = zipSync({ a: [new Uint8Array(2e6), { level: 0 }] })
  await assert.rejects(unzip(rich, { ...LIMITS, bytes: 1e6 }), /at most 1 MB are read/)
  const many = zipSync(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`${i}`, text('x')])))
  await assert.rejects(unzip(many, LIMITS), /holds 101 files; at most 100/)
})

test('a real bomb of zeros is refused by its ratio', async () => {
  const bomb = zipSync({ a: [new Uint8Array(100e6), { level: 9 }] })
  assert.ok(bomb.length < 200_000)
  await assert.rejects(unzip(bomb, LIMITS), /zip archive of 0\.\d+ MB claims to hold 100 MB; at most 64 MB/)
})

test('an entry that inflates to more or less than it says is refused', async () => {
  const archive = zipSync({ a: new Uint8Array(5000).fill(7) })
  for (const said of [100, 4999, 5001, 60e6]) {
    const cause = await unzip(patched(archive, CENTRAL, 24, said, 4), LIMITS).catch((error) => error)
    assert.ok(cause instanceof UserError, `${said}: ${cause}`)
    assert.match(cause.message, /damaged/)
  }
})

test('encrypted archives, unknown compression, damage and cut archives have a reason each', async () => {
  const archive = zipSync({ a: [text('some text, some text, some text'), { level: 6 }] })
  const flagged = patched(patched(archive, CENTRAL, 8, 1, 2), LOCAL, 6, 1, 2)
  await assert.rejects(unzip(flagged, LIMITS), /is encrypted/)
  await assert.rejects(unzip(patched(archive, CENTRAL, 10, 14, 2), LIMITS), /compressed by method 14/)
  await assert.rejects(unzip(patched(archive, CENTRAL, 16, 12345, 4), LIMITS), /is damaged: a\./)
  for (const end of [4, 20, 40, archive.length - 1])
    await assert.rejects(unzip(archive.subarray(0, end), LIMITS), UserError)
  await assert.rejects(unzip(text('PK\u0003\u0004 and nothing more'), LIMITS), /damaged or cut short/)
})

test('5,000 seeded mutations give files or a reason, never a crash', async () => {
  const whole = zipSync({ 'a.nii': new Uint8Array(300).fill(3), 'b/c.dcm': [text('dicom'), { level: 0 }] })
  let state = 20261121
  const random = (below: number) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  let read = 0
  for (let n = 0; n < 5000; n++) {
    const bytes = whole.slice(0, random(4) === 0 ? random(whole.length) : whole.length)
    for (let k = random(4); k >= 0 && bytes.length > 0; k--) bytes[random(bytes.length)] = random(256)
    await unzip(bytes, LIMITS).then(
      () => read++,
      (cause) => assert.ok(cause instanceof UserError, String(cause?.stack)),
    )
  }
  assert.ok(read > 100 && read < 4900, String(read))
})
