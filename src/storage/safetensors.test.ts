import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  encodeSafetensors,
  readRows,
  readSafetensors,
  readSafetensorsHeader,
  SafetensorsError,
  singleTensorHeader,
  type Tensor,
  writeSafetensors,
} from './safetensors.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-safetensors-'))
})
after(() => rm(dir, { recursive: true }))

const python = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))

const tensors: Record<string, Tensor> = {
  bytes: { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) },
  image: { dtype: 'I16', shape: [2, 1, 3], data: Int16Array.of(-32768, -1, 0, 1, 2, 32767) },
  sum: { dtype: 'F64', shape: [2], data: Float64Array.of(Math.PI, -0) },
  big: { dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 60n)) },
  empty: { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
}

test('what is written is read again', async () => {
  const path = join(dir, 'a.safetensors')
  await writeSafetensors(path, tensors, { made_by: 'a test' })
  assert.deepEqual(await readSafetensors(path), tensors)
  assert.deepEqual((await readSafetensorsHeader(path)).metadata, { made_by: 'a test' })
})

test('the header is padded so that data start at a multiple of 8, and wider types come first', () => {
  const bytes = encodeSafetensors(tensors)
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  assert.equal((8 + length) % 8, 0)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
  for (const [name, { dtype }] of Object.entries(tensors)) {
    const width = { F64: 8, I64: 8, F32: 4, I16: 2 }[dtype as 'F64'] ?? 1
    assert.equal(header[name].data_offsets[0] % width, 0, name)
  }
})

test('the order of the keys does not change the bytes', () => {
  const reversed = Object.fromEntries(Object.entries(tensors).reverse())
  assert.deepEqual(encodeSafetensors(reversed), encodeSafetensors(tensors))
})

test('rows are read alone', async () => {
  const path = join(dir, 'rows.safetensors')
  await writeSafetensors(path, tensors)
  const row = await readRows(path, 'image', 1, 1)
  assert.deepEqual(row, { dtype: 'I16', shape: [1, 1, 3], data: Int16Array.of(1, 2, 32767) })
  await assert.rejects(readRows(path, 'image', 1, 2), RangeError)
  await assert.rejects(readRows(path, 'mask', 0, 1), /no tensor "mask"/)
})

test('a header for fewer rows can be as long as that for more', async () => {
  const planned = singleTensorHeader('image', 'U8', [100000, 1, 2, 2])
  const header = singleTensorHeader('image', 'U8', [1, 1, 2, 2], planned.byteLength)
  assert.equal(header.byteLength, planned.byteLength)
  const whole = new Uint8Array(header.byteLength + 4)
  whole.set(header)
  whole.set([9, 8, 7, 6], header.byteLength)
  assert.deepEqual((await readSafetensors(whole)).image?.data, Uint8Array.of(9, 8, 7, 6))
})

test('the Python library reads it', {
  skip: existsSync(python) ? false : 'no Python environment',
}, async () => {
  const path = join(dir, 'python.safetensors')
  await writeSafetensors(path, tensors)
  const out = execFileSync(python, [
    '-c',
    'import sys, json; from safetensors.numpy import load_file; t = load_file(sys.argv[1]);' +
      'print(json.dumps({k: [str(v.dtype), list(v.shape), v.ravel().tolist()] for k, v in sorted(t.items())}))',
    path,
  ])
  assert.deepEqual(JSON.parse(out.toString().replace('-1152921504606846976', '"-2^60"')), {
    big: ['int64', [1], ['-2^60']],
    bytes: ['uint8', [3], [1, 2, 255]],
    empty: ['float32', [0, 4], []],
    image: ['int16', [2, 1, 3], [-32768, -1, 0, 1, 2, 32767]],
    sum: ['float64', [2], [Math.PI, -0]],
  })
})

const withHeader = (json: string, data = 0) => {
  const text = new TextEncoder().encode(json)
  const bytes = new Uint8Array(8 + text.length + data)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  return bytes
}
const entry = (changes: object) =>
  JSON.stringify({ x: { dtype: 'U8', shape: [4], data_offsets: [0, 4], ...changes } })
const broken: [string, Uint8Array][] = [
  ['empty', new Uint8Array(0)],
  ['shorter than a header', Uint8Array.of(1, 2, 3)],
  ['claiming a header longer than itself', withHeader('{}').fill(255, 0, 8)],
  ['with a header that is not JSON', withHeader('{"x": ')],
  ['with a header that is a list', withHeader('[]')],
  ['with a header that is not UTF-8', withHeader('{"x": 1}').fill(0xff, 9, 10)],
  ['of an unknown type', withHeader(entry({ dtype: 'U9' }), 4)],
  ['of a type named like a method', withHeader(entry({ dtype: 'constructor' }), 4)],
  ['with a negative shape', withHeader(entry({ shape: [-4] }), 4)],
  ['with bytes that do not fit the shape', withHeader(entry({ shape: [5] }), 4)],
  ['cut short', withHeader(entry({}), 3)],
  ['with bytes behind the last tensor', withHeader(entry({}), 5)],
  ['leaving a gap', withHeader(entry({ data_offsets: [1, 5] }), 5)],
]
for (const [what, bytes] of broken) {
  test(`a file ${what} is refused, and named`, async () => {
    const path = join(dir, 'broken.safetensors')
    await writeFile(path, bytes)
    const isNamed = (error: unknown) =>
      error instanceof SafetensorsError && error.message.includes(path) && error.message.includes('do:')
    await assert.rejects(readSafetensors(path), isNamed)
    await assert.rejects(readSafetensorsHeader(path), isNamed)
  })
}
