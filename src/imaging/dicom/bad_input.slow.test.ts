import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { randomSource } from '../testing/samples.ts'
import { decodePixels } from './decode_pixels.ts'
import { readDicomInstance } from './instance.ts'

const FILES = join(import.meta.dirname, '../../../../shared/data/dicom/files')
const skip = existsSync(FILES) ? false : 'the DICOM files of ../shared/data are not here'
const ROUNDS = 10_000
const VALUES = [0, 1, 0x7f, 0x80, 0xff]

test('whatever bytes change, a DICOM file becomes pixels or an ImageError, soon, and in bounded memory', {
  skip,
}, async () => {
  const files = readdirSync(FILES).map((name) => ({ name, bytes: readFileSync(join(FILES, name)) }))
  const next = randomSource(17)
  const counts = { decoded: 0, refused: 0 }
  let slowest = { milliseconds: 0, name: '', round: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const { name, bytes } = files[round % files.length]!
    const mutated = mutate(new Uint8Array(bytes), next)
    const start = process.cpuUsage()
    try {
      const { data } = await decodePixels(readDicomInstance(mutated).file)
      assert.ok(data.length > 0)
      counts.decoded++
    } catch (error) {
      if (!(error instanceof ImageError)) throw new Error(`round ${round}, ${name}`, { cause: error })
      counts.refused++
    }
    // Of this process: what else the machine does is not the decoder's.
    const { user, system } = process.cpuUsage(start)
    const milliseconds = (user + system) / 1000
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, name, round }
  }
  assert.ok(slowest.milliseconds < 2000, JSON.stringify(slowest))
  assert.ok(counts.decoded > 100 && counts.refused > 100, JSON.stringify(counts))
  assert.ok(process.resourceUsage().maxRSS < 1e6, `${process.resourceUsage().maxRSS} kB`)
})

/** A few bytes changed, half of them in the header and half anywhere; or the file cut short; or a piece doubled. */
function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const kind = next() % 10
  if (kind === 0) return bytes.slice(0, next() % bytes.length)
  if (kind === 1) {
    const at = next() % bytes.length
    const piece = bytes.subarray(at, at + (next() % 64))
    return new Uint8Array(Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]))
  }
  const numChanges = 1 + (next() % 8)
  for (let i = 0; i < numChanges; i++) {
    const within = next() % 2 === 0 ? Math.min(2048, bytes.length) : bytes.length
    bytes[next() % within] = VALUES[next() % 6] ?? next()
  }
  return bytes
}
