import assert from 'node:assert/strict'
import { test } from 'node:test'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { sha256 } from '../storage/local.ts'
import { inputSha256, joinInputSha256, START_BYTES } from './input_sha256.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('one file goes by its own hash, several by that of theirs', () => {
  const [a, b] = [bytes('a'), bytes('b')]
  assert.equal(inputSha256([a]), sha256(a))
  assert.equal(inputSha256([a, b]), sha256(`${sha256(a)}\n${sha256(b)}\n`))
})

test('channels in another order are another input; instances of a series in another order are the same', () => {
  const channels = [bytes('a'), bytes('b')]
  assert.notEqual(inputSha256(channels.toReversed()), inputSha256(channels))
  const { files } = obliqueSeries()
  assert.equal(inputSha256(files.toReversed()), inputSha256(files))
  assert.equal(joinInputSha256(files.map(sha256), files[0]!.subarray(0, START_BYTES)), inputSha256(files))
})
