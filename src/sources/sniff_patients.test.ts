import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guessPatientPattern } from './sniff_patients.ts'

const CLASSES = ['BENIGN', 'MALIGNANT']
const pad = (i: number, width: number) => String(i).padStart(width, '0')

/** Ids that the guessed pattern finds in `count` names, two classes in turn, with what it rests on. */
function guess(count: number, name: (i: number) => string, classes: readonly string[] = CLASSES) {
  const paths = Array.from({ length: count }, (_, i) => `${classes[i % classes.length]}/${name(i)}`)
  const found = guessPatientPattern(paths, 1)
  if (found === null) return null
  const expression = new RegExp(found.pattern, 'u')
  const ids = new Set(paths.map((path) => expression.exec(path)?.slice(1).find(Boolean)))
  assert.equal(ids.size, found.patients)
  return { ids: [...ids], why: found.why }
}

const tiles = (i: number) => ({
  slide: Math.floor(i / 50),
  x: (i % 10) * 256,
  y: (Math.floor(i / 10) % 5) * 256,
})
const views = (i: number) => ['LEFT_CC', 'LEFT_MLO', 'RIGHT_CC', 'RIGHT_MLO'][i % 4]

for (const [what, first, patients, found] of [
  [
    'an id before a follow-up number',
    '00000000',
    50,
    guess(200, (i) => `${pad(i >> 2, 8)}_${pad(i % 4, 3)}.png`),
  ],
  [
    'an image number after a patient',
    'IM-0000',
    50,
    guess(100, (i) => `IM-${pad(i >> 1, 4)}-${pad(i, 4)}.jpeg`),
  ],
  ['mammography views', 'P000', 50, guess(200, (i) => `P${pad(i >> 2, 3)}_${views(i)}.png`)],
  [
    'a patient in the middle of a name',
    'P_00000',
    50,
    guess(200, (i) => `Mass-Training_P_${pad(i >> 2, 5)}_${views(i)}.png`),
  ],
  [
    'tiles numbered by x and y',
    'slide0',
    20,
    guess(1000, (i) => `slide${tiles(i).slide}_tile_${tiles(i).x}_${tiles(i).y}.png`),
  ],
  [
    'tiles named by row and column',
    'CRC-HE-0_022.tif',
    20,
    guess(1000, (i) => `CRC-HE-${tiles(i).slide}_022.tif_Row_${tiles(i).y}_Col_${tiles(i).x}.tif`),
  ],
  [
    'one slide at several magnifications',
    'SOB_B_A-14-22500AB',
    16,
    guess(
      640,
      (i) => `SOB_B_A-14-${22500 + Math.floor(i / 40)}AB-${[40, 100, 200, 400][i % 4]}-${pad(i % 40, 3)}.png`,
    ),
  ],
  [
    'several studies of a patient',
    '0',
    50,
    guess(400, (i) => `${Math.floor(i / 8)}_${Math.floor(i / 4) % 2}_${i % 4}.png`),
  ],
  [
    'patients of several sites',
    'site00_0000',
    120,
    guess(480, (i) => `site${pad((i >> 2) % 12, 2)}_${pad(i >> 2, 4)}_${i % 4}.png`),
  ],
  [
    'a patient after a date',
    '00000',
    50,
    guess(200, (i) => `2021-03-${pad(((i >> 1) % 28) + 1, 2)}_${pad(i >> 2, 5)}_${i % 4}.png`),
  ],
  [
    'slices of a volume',
    'volume_0',
    50,
    guess(1000, (i) => `volume_${Math.floor(i / 20)}_slice_${i % 20}.png`),
  ],
] as const)
  test(`${what}: every image of a patient is grouped, and nobody else's`, () => {
    assert.deepEqual([found?.ids[0], found?.ids.length], [first, patients])
  })

for (const [what, found] of [
  ['mere numbers', guess(600, (i) => `${i + 1}.png`)],
  ['numbers in brackets', guess(200, (i) => `img (${i}).jpg`)],
  ['unique ids', guess(200, () => `${crypto.randomUUID()}.png`)],
  ['numbers after a word', guess(200, (i) => `ISIC_${pad(24306 + i, 7)}.jpg`)],
  ['days', guess(200, (i) => `2021-03-${pad((i % 28) + 1, 2)}_${pad(i, 4)}.png`)],
  ['a camera with dates', guess(200, (i) => `IMG_202103${pad((i % 28) + 1, 2)}_${pad(i * 37, 6)}.jpg`)],
  ['numbers of classes', guess(1000, (i) => `${i % 10}_${i}.png`, [...'abcdefghij'])],
] as const)
  test(`${what} are no patients`, () => {
    assert.equal(found, null)
  })

test('a class name before the id is no part of it: one patient may be in two classes', () => {
  const found = guess(400, (i) => `${CLASSES[i % 2]}-${1000000 + (i >> 2)}-${i}.jpeg`)
  assert.deepEqual([found?.ids[0], found?.ids.length], ['1000000', 100])
  assert.match(found!.why, /number in two classes is one patient/)
})

test('where names can be read in two ways, the guess says so', () => {
  const { why } = guess(400, (i) => `${Math.floor(i / 8)}_${Math.floor(i / 4) % 2}_${i % 4}.png`)!
  assert.match(why, /up to a later number it would be 100/)
})
