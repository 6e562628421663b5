import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { writeNifti } from '../imaging/nifti/write.ts'
import { parseRecipe } from '../schema/parse.ts'
import {
  SMALL_AFFINE,
  SMALL_SHAPE,
  type VolumeCase,
  volumeFiles,
  writeDecathlonLayout,
  writeNnUNetLayout,
} from '../sources/volume_layout_fixture.ts'
import { prepareShards } from './run.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-bad-volumes-'))
after(() => rm(base, { recursive: true }))
let made = 0

const labels = { Anterior: 1, Posterior: 2 }
async function prepared(root: string, { source = 'decathlon', prepare = {}, quarantined = 20 } = {}) {
  const recipe = parseRecipe(
    {
      name: 'bad',
      data: { root, source, split: { val: 0.25, test: 0.25 }, max_quarantined: quarantined },
      prepare: { intensity: 'zscore', spacing_mm: 'source', ...prepare },
      task: { kind: 'segment', labels },
    },
    'a recipe of a test',
  )
  const signal = new AbortController().signal
  const options = { root, prepared: join(root, 'prepared'), workers: 1, log() {}, signal }
  return (await prepareShards(recipe, options)).result
}

/** A sound data set but for one case, `bad`; what is said of that one. */
async function reasonFor(
  spoil: (root: string) => Promise<unknown>,
  bad: Partial<VolumeCase> = {},
  blamed = bad.mask === undefined ? 'imagesTr' : 'labelsTr',
  prepare: object = {},
): Promise<string> {
  const root = join(base, `set-${made++}`)
  const sound = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name }))
  await writeDecathlonLayout(root, [...sound, { name: 'bad', ...bad }])
  await spoil(root)
  const { quarantined, cases } = await prepared(root, { prepare })
  assert.equal(cases, sound.length, 'the sound ones are stored')
  assert.deepEqual(
    quarantined.map((one) => one.case_id),
    ['bad'],
  )
  assert.equal(quarantined[0]!.file, `${blamed}/bad.nii.gz`, 'the file at fault is named')
  return quarantined[0]!.reason
}

const image = (root: string) => join(root, 'imagesTr/bad.nii.gz')
const mask = (root: string) => join(root, 'labelsTr/bad.nii.gz')
const nothing = async () => {}

test('a volume that resampling would make huge is quarantined with sizes, before memory is taken', async () => {
  const affine = SMALL_AFFINE.map((value, k) => (k % 4 === 3 ? value : value * 1000))
  const reason = await reasonFor(nothing, { affine }, 'imagesTr', { spacing_mm: [2, 2, 2] })
  assert.match(
    reason,
    /would make \d+×\d+×\d+ voxels of 2×2×2 mm of 4×5×6 voxels of 3000×2000×1500 mm[\s\S]*do: check the spacing/,
  )
})

test('a mask of another shape than its image is quarantined with both shapes', async () => {
  const reason = await reasonFor(nothing, { mask: { shape: [4, 6, 5] } })
  assert.match(reason, /The mask has 4×6×5 voxels and the image 4×5×6[\s\S]*do: give the mask that was drawn/)
})

test('a mask that lies elsewhere than its image is quarantined with how far apart they are', async () => {
  const affine = SMALL_AFFINE.map((value, k) => (k === 3 ? value + 4 : value))
  const reason = await reasonFor(nothing, { mask: { affine } })
  assert.match(reason, /same shape but other affines: .* up to 4\.00 mm apart[\s\S]*do:/)
})

test('a mask of other spacing is quarantined, though its shape is right', async () => {
  const affine = SMALL_AFFINE.map((value, k) => (k % 4 === 0 ? value * 1.5 : value))
  assert.match(await reasonFor(nothing, { mask: { affine } }), /other affines[\s\S]*do:/)
})

test('voxels that are NaN or infinite are quarantined with how many there are', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const reason = await reasonFor(async (root) => {
      const data = new Float32Array(120).fill(1)
      data[7] = value
      const volume = { data, channels: 1, shape: SMALL_SHAPE, affine: SMALL_AFFINE }
      await writeFile(image(root), await writeNifti(volume, { gzip: true }))
    })
    assert.match(reason, /1 .*(NaN|infinite|finite)[\s\S]*do:/i)
  }
})

test('a mask with a value that dataset.json does not name is quarantined with value and count', async () => {
  const reason = await reasonFor(nothing, { mask: { values: [0, 1, 2, 9] } })
  assert.match(
    reason,
    /The mask holds 9 \(30 voxels\), which nothing names; the labels are 0, 1, 2[\s\S]*do: add what is missing/,
  )
})

test('a mask of fractions, negatives or values above 255 is quarantined: they are no labels', async () => {
  for (const [value, text] of [
    [0.5, '0\\.5'],
    [-1, '-1'],
    [300, '300'],
  ] as const) {
    const reason = await reasonFor(
      async (root) => {
        const data = new Float32Array(120)
        data[3] = value
        const volume = { data, channels: 1, shape: SMALL_SHAPE, affine: SMALL_AFFINE }
        await writeFile(mask(root), await writeNifti(volume, { gzip: true }))
      },
      {},
      'labelsTr',
    )
    assert.match(reason, new RegExp(`the value ${text}; labels are whole numbers from 0 to 255[\\s\\S]*do:`))
  }
})

test('a gzip file cut short, of garbage, or empty is quarantined', async () => {
  const { image: whole } = await volumeFiles({ name: 'bad' })
  for (const bytes of [
    whole.subarray(0, whole.length - 20),
    whole.subarray(0, 40),
    Buffer.from('text'),
    Buffer.alloc(0),
  ]) {
    for (const [part, fileOf] of [
      ['imagesTr', image],
      ['labelsTr', mask],
    ] as const) {
      const reason = await reasonFor((root) => writeFile(fileOf(root), bytes), {}, part)
      assert.match(reason, /do: /)
    }
  }
})

test('a header that claims more voxels than there are bytes is quarantined, and nothing of that size is made', async () => {
  const reason = await reasonFor(async (root) => {
    const bytes = gunzipSync(await readFile(image(root)))
    for (const k of [1, 2, 3]) bytes.writeInt16LE(30_000, 40 + 2 * k)
    await writeFile(image(root), gzipSync(bytes))
  })
  assert.match(reason, /do:/)
})

test('an affine that is singular, not finite or missing is quarantined', async () => {
  const spoilt: [string, (bytes: Buffer) => void][] = [
    ['singular', (bytes) => [280, 284, 288, 292].forEach((at) => void bytes.writeFloatLE(0, at))],
    ['not finite', (bytes) => void bytes.writeFloatLE(Number.NaN, 284)],
    ['form', (bytes) => [252, 254].forEach((at) => void bytes.writeInt16LE(0, at))],
  ]
  for (const [word, change] of spoilt) {
    const reason = await reasonFor(async (root) => {
      const bytes = gunzipSync(await readFile(image(root)))
      change(bytes)
      await writeFile(image(root), gzipSync(bytes))
    })
    assert.match(reason, new RegExp(`${word}[\\s\\S]*do:`))
  }
})

test('a volume of another number of channels is quarantined with both numbers', async () => {
  const root = join(base, `set-${made++}`)
  const cases = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, channels: name === 'c' ? 1 : 2 }))
  await writeDecathlonLayout(root, cases)
  const { quarantined } = await prepared(root)
  assert.deepEqual(
    quarantined.map((one) => one.case_id),
    ['c'],
  )
  assert.match(quarantined[0]!.reason, /The volume has 1 channel; 2 are expected[\s\S]*do:/)
})

test('a case of nnU-Net without one of its channels is quarantined with the channel', async () => {
  const root = join(base, `set-${made++}`)
  await writeNnUNetLayout(
    root,
    ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, channels: 2 })),
  )
  await rm(join(root, 'imagesTr/b_0001.nii.gz'))
  const { quarantined, cases } = await prepared(root, { source: 'nnunet' })
  assert.equal(cases, 4)
  assert.match(quarantined[0]!.reason, /There is no file of channel 1 \(_0001\)\. Restore it/)
})

test('channels of one case on different grids are quarantined', async () => {
  const root = join(base, `set-${made++}`)
  await writeNnUNetLayout(
    root,
    ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, channels: 2 })),
  )
  const { image: other } = await volumeFiles({ name: 'b', shape: [4, 5, 7] })
  await writeFile(join(root, 'imagesTr/b_0001.nii.gz'), other)
  const { quarantined } = await prepared(root, { source: 'nnunet' })
  assert.match(quarantined[0]!.reason, /Channel 1 has 4×5×7 voxels and channel 0 4×5×6[\s\S]*do:/)
})

test('volumes of one slice are stored, as they are in 2D series', async () => {
  const root = join(base, `set-${made++}`)
  await writeDecathlonLayout(
    root,
    ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, shape: [1, 5, 6] as const })),
  )
  const { quarantined, cases } = await prepared(root)
  assert.deepEqual([quarantined, cases], [[], 5])
})

test('an empty volume cropped to its foreground is quarantined', async () => {
  const root = join(base, `set-${made++}`)
  await writeDecathlonLayout(
    root,
    ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name })),
  )
  const volume = { data: new Int16Array(120), channels: 1, shape: SMALL_SHAPE, affine: SMALL_AFFINE }
  await writeFile(join(root, 'imagesTr/b.nii.gz'), await writeNifti(volume, { gzip: true }))
  const { quarantined } = await prepared(root, { prepare: { crop: 'foreground' } })
  assert.match(quarantined[0]!.reason, /no foreground to crop to[\s\S]*do: check/)
})

test('more bad volumes than are allowed publish nothing', async () => {
  const root = join(base, `set-${made++}`)
  await writeDecathlonLayout(
    root,
    ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name })),
  )
  for (const name of ['a', 'b']) await writeFile(join(root, `imagesTr/${name}.nii.gz`), 'text')
  await assert.rejects(
    prepared(root, { quarantined: 1 }),
    /2 cases could not be read; at most 1 may be[\s\S]*Nothing was published/,
  )
})

test('a data set of NIfTI pairs is refused with what to do, however large its volumes', async () => {
  for (const side of [5, 400]) {
    const root = join(base, `pairs-${side}`)
    const names = ['a', 'b', 'c', 'd']
    await writeDecathlonLayout(
      root,
      names.map((name) => ({ name })),
    )
    for (const name of names) {
      const file = join(root, `imagesTr/${name}.nii.gz`)
      const header = new Uint8Array(gunzipSync(await readFile(file))).slice(0, 348)
      header[345] = 'i'.charCodeAt(0)
      const view = new DataView(header.buffer)
      view.setFloat32(108, 0, true)
      for (const k of [1, 2, 3]) view.setInt16(40 + 2 * k, side, true)
      await writeFile(file, header)
    }
    for (const intensity of ['zscore', 'auto'])
      await assert.rejects(
        prepared(root, { prepare: { intensity } }),
        /None of the sampled volumes[\s\S]*one of a pair[\s\S]*do: write both as one file/,
      )
  }
})
