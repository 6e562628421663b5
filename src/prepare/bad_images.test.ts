import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodePng } from '#raster'
import { concat, handmadePng, pngChunk } from '../imaging/testing/files.ts'
import { noise } from '../imaging/testing/samples.ts'
import { readIndex, storedCases } from './shard_set.ts'
import { prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-bad-images-'))
})
after(() => rm(dir, { recursive: true }))

const text = (words: string) => new TextEncoder().encode(words)
const whole = await encodePng(noise(20, 24, 1))
const apng = concat(
  whole.subarray(0, 33),
  pngChunk('acTL', Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0)),
  whole.subarray(33),
)
const bomb = handmadePng({ height: 60_000, width: 60_000, bits: 8, colourType: 0 }, [])

const bad: Record<string, Uint8Array> = {
  'zero bytes': new Uint8Array(),
  'cut short': whole.subarray(0, whole.length - 40),
  'a text': text('patient,label\n1,0\n'),
  'an SVG': text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
  'two frames': apng,
  'a decompression bomb': bomb,
}
const good: Record<string, Uint8Array> = {
  '1×1': await encodePng(noise(1, 1, 1)),
  '20000×1': await encodePng(noise(20_000, 1, 1)),
  'RGB with alpha': await encodePng(noise(9, 7, 4)),
}

test('every kind of bad file is quarantined with a reason, the odd but sound ones are stored', async () => {
  const root = join(dir, 'data')
  const cases = smallCases(30)
  await writeDataSet(root, cases)
  const names = new Map<string, string>()
  for (const [i, [name, bytes]] of [...Object.entries(bad), ...Object.entries(good)].entries()) {
    const { id } = cases[i * 3]!
    names.set(id, name)
    await writeFile(join(root, `images/${id}.png`), bytes)
  }
  const { result, index } = await prepareSmall(
    smallRecipe(root, { data: { max_quarantined: Object.keys(bad).length } }),
    join(dir, 'work'),
  )
  assert.deepEqual(
    result.quarantined.map(({ case_id }) => names.get(case_id)).sort(),
    Object.keys(bad).sort(),
  )
  for (const { case_id, reason } of result.quarantined) {
    assert.match(reason, /do:/, names.get(case_id))
    assert.doesNotMatch(reason, /please report/, names.get(case_id))
  }
  assert.equal(index.num_cases, 30 - Object.keys(bad).length)
})

test('hostile names of cases, patients and files are kept as they are', async () => {
  const root = join(dir, 'names')
  const cases = smallCases(12)
  await writeDataSet(root, cases)
  const hostile = [
    '../../up',
    'a\u2028b',
    '__proto__',
    'constructor',
    '$(touch x)',
    '"; DROP',
    'ü/ß',
    ' ',
    '%00',
    '-rf',
  ]
  const rows = cases.map(({ id, finding }, i) => {
    const name = (hostile[i] ?? id).replaceAll('"', '""')
    return `"${name}",images/${id}.png,"p ${name}",${finding}`
  })
  await writeFile(join(root, 'labels.csv'), ['id,file,patient,finding', ...rows, ''].join('\n'))
  const work = join(dir, 'names-work')
  const { labels, dir: set } = await prepareSmall(smallRecipe(root), work)
  assert.equal(labels.num_cases, 12)
  const stored = (await storedCases(set, (await readIndex(set))!)).map(({ case_id }) => case_id)
  for (const name of hostile.slice(0, 7)) assert.ok(stored.includes(name), JSON.stringify(name))
})
