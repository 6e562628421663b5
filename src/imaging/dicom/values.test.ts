import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { readDicomInstance } from './instance.ts'
import { modalityValue } from './modality.ts'
import expected from './testing/pydicom_values.json' with { type: 'json' }
import { greySlice } from './testing/slices.ts'
import { type Voi, voiValue } from './voi.ts'

const FILES = join(import.meta.dirname, '../../../../shared/data/dicom/files')
const skip = existsSync(FILES) ? false : 'the DICOM files of ../shared/data are not here'

test("modality and VOI transforms agree with pydicom's on every file that has them", { skip }, () => {
  assert.equal(Object.keys(expected).length, 17)
  for (const [name, { stored, modality, voi }] of Object.entries(
    expected as Record<string, { stored: number[]; modality: number[]; voi?: number[] }>,
  )) {
    const { image } = readDicomInstance(new Uint8Array(readFileSync(join(FILES, name))))
    const place = image!.frames[0]!
    const measured = stored.map((value) => modalityValue(place.modality, value))
    assert.deepEqual(measured, modality, name)
    assert.equal(place.vois.length > 0, voi !== undefined, name)
    for (const [i, shown] of (voi ?? []).entries())
      assert.ok(Math.abs(voiValue(place.vois[0]!, measured[i]!) - shown) < 1e-9, `${name}: ${i}`)
  }
})

test('the three shapes of a window are those of the standard', () => {
  const shown = (
    shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID',
    center: number,
    width: number,
    value: number,
  ) => voiValue({ kind: 'window', shape, center, width }, value)
  // PS3.3, C.11.2.1.2.1: center 2048 and width 4096 map 0 to 0 and 4095 to the top.
  assert.deepEqual(
    [0, 4095].map((value) => shown('LINEAR', 2048, 4096, value)),
    [0, 1],
  )
  assert.deepEqual(
    [99, 100].map((value) => shown('LINEAR', 100, 1, value)),
    [0, 1],
  )
  assert.deepEqual(
    [0, 2, 4, 5].map((value) => shown('LINEAR_EXACT', 2, 4, value)),
    [0, 0.5, 1, 1],
  )
  assert.equal(shown('SIGMOID', 10, 4, 10), 0.5)
  assert.equal(shown('SIGMOID', 10, 4, 12), 1 / (1 + Math.exp(-2)))
})

test('a window of no width is left out', () => {
  const voisOf = (window: { WindowCenter: number[]; WindowWidth: number[] }): Voi[] =>
    readDicomInstance(greySlice(window)).image!.frames[0]!.vois
  assert.deepEqual(voisOf({ WindowCenter: [40, 50], WindowWidth: [0, 350] }), [
    { kind: 'window', shape: 'LINEAR', center: 50, width: 350 },
  ])
})

test('a slope without an intercept, and a slope of 0, are refused', () => {
  for (const rescale of [
    { RescaleSlope: 2 },
    { RescaleSlope: 0, RescaleIntercept: 1 },
    { RescaleIntercept: 3 },
  ])
    assert.throws(
      () => readDicomInstance(greySlice(rescale)),
      (error) => error instanceof ImageError && /RescaleSlope is/.test(error.reason),
    )
})

test('a lookup table gives its ends to what lies outside it, and a short one is refused', () => {
  const table = { LUTDescriptor: [3, 10, 16], LUTData: new Uint8Array(Uint16Array.of(7, 8, 9000).buffer) }
  const { modality } = readDicomInstance(greySlice({ ModalityLUTSequence: [table] })).image!.frames[0]!
  assert.deepEqual(
    [-5, 10, 11, 12, 300].map((value) => modalityValue(modality, value)),
    [7, 7, 8, 9000, 9000],
  )
  const short = { ...table, LUTDescriptor: [4, 10, 16] }
  assert.throws(() => readDicomInstance(greySlice({ ModalityLUTSequence: [short] })), /4 entries of 16 bits/)
})
