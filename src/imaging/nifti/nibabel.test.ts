import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { reversedAxes } from '../geometry/affine.ts'
import { noiseVolume, variedGrids } from '../testing/grids.ts'
import { askPython, skipWithoutMonai } from '../testing/monai.ts'
import type { Volume, Voxels } from '../volume.ts'
import { readNifti, readNiftiHeader } from './read.ts'
import { writeNifti } from './write.ts'

/** Writes files of every kind that nibabel can, and what nibabel reads in them: float64 voxels and the affine. */
const WRITER = `
import json, itertools, numpy as np, nibabel as nib
rng = np.random.default_rng(0)
turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
names = []
def affine_of(n):
    order = list(itertools.permutations(range(3)))[n % 6]
    straight = np.zeros((3, 3))
    for column, row in enumerate(order):
        straight[row, column] = [0.8, 1.7, 3.1][column] * (-1 if (n >> column) & 1 else 1)
    affine = np.eye(4)
    affine[:3, :3] = (turn if n % 2 else np.eye(3)) @ straight
    affine[:3, 3] = [-91.3, 12.7, 44.1]
    return affine
def save(name, image):
    nib.save(image, name)
    back = nib.load(name)
    np.asarray(back.get_fdata(), dtype=np.float64).ravel(order='F').tofile(name + '.values')
    names.append({'name': name, 'affine': back.affine.ravel().tolist(), 'shape': back.shape})
def header_of(kind, endian):
    return kind.header_class(endianness=endian)
n = 0
for kind, extension in ((nib.Nifti1Image, 'nii'), (nib.Nifti2Image, 'nii'), (nib.Nifti1Pair, 'img')):
    for dtype in ('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f4', 'f8'):
        for endian in '<>':
            shape = ((5, 7, 4), (5, 7, 4, 3), (5, 7, 4, 1, 2), (6, 1, 3))[n % 4]
            top = 100 if dtype == 'i1' else 200
            data = (rng.random(shape) * top).astype(dtype)
            image = kind(data, None, header_of(kind, endian), dtype=np.dtype(dtype))
            affine = affine_of(n)
            if n % 3 != 1: image.header.set_sform(affine, code=1 + n % 4)
            if n % 3 != 0: image.header.set_qform(affine_of(n + 1) if n % 3 == 2 else affine, code=1)
            if n % 3 == 0: image.header.set_qform(None, code=0)
            if n % 3 == 1: image.header.set_sform(None, code=0)
            if dtype in ('u2', 'i2', 'f4') and endian == '<': image.header.set_slope_inter(0.37, -11.5)
            save(f'{n}_{kind.__name__}_{dtype}_{"le" if endian == "<" else "be"}.{extension}', image)
            n += 1
json.dump(names, open('names.json', 'w'))
`

/** Every file in the folder, in one answer: a line of names and lengths, then their bytes. */
const PACK = `
import os
files = sorted(f for f in os.listdir('.') if os.path.isfile(f))
index = json.dumps([[f, os.path.getsize(f)] for f in files]).encode()
with open('all.pack', 'wb') as out:
    out.write(len(index).to_bytes(4, 'little') + index)
    for f in files: out.write(open(f, 'rb').read())
`

test('every file that nibabel writes is read with the voxels and the affine that nibabel reads', {
  skip: skipWithoutMonai,
}, async () => {
  const [pack] = await askPython(WRITER + PACK, {}, ['all.pack'])
  const files = unpack(pack!)
  const names = JSON.parse(new TextDecoder().decode(files.get('names.json'))) as {
    name: string
    affine: number[]
    shape: number[]
  }[]
  assert.equal(names.length, 60)
  let numScaled = 0
  for (const { name, affine, shape } of names) {
    const values = new Float64Array(Uint8Array.from(files.get(`${name}.values`)!).buffer)
    const image = files.get(name)!
    const isPair = name.endsWith('.img')
    const parts = isPair ? [files.get(name.replace(/img$/, 'hdr'))!, image] : [image]
    for (const given of [parts, parts.map((part) => new Uint8Array(gzipSync(part)))]) {
      const volume = await readNifti(given[0]!, given[1])
      assert.deepEqual([...volume.shape], [shape[2], shape[1], shape[0]], name)
      assert.equal(
        volume.channels,
        shape.slice(3).reduce((a, b) => a * b, 1),
        name,
      )
      close(volume.data, values, 3e-7, name)
      close(reversedAxes(volume.affine), affine, 1e-12, `affine, ${name}`)
      const header = await readNiftiHeader(given[0]!.subarray(0, 4096))
      assert.deepEqual(header.affine, volume.affine)
      if (header.scaling !== null) numScaled++
      assert.equal(
        header.dtype,
        /_([uif]\d)_/.exec(name)![1]!.replace(/(.)(\d)/, (_, t, b) => `${TYPES[t]}${b * 8}`),
      )
    }
  }
  assert.ok(numScaled >= 18, `${numScaled} scaled`)
})

const TYPES: Readonly<Record<string, string>> = { u: 'uint', i: 'int', f: 'float' }

const READER = `
import json, numpy as np, nibabel as nib
out = []
for i in range(len(json.load(open('list.json')))):
    image = nib.load(f'{i}.nii.gz')
    np.asarray(image.dataobj).ravel(order='F').tofile(f'{i}.values')
    out.append({'affine': image.affine.ravel().tolist(), 'qform': image.get_qform().ravel().tolist(),
                'shape': image.shape, 'dtype': str(image.get_data_dtype()), 'units': image.header.get_xyzt_units()[0],
                'description': str(image.header['descrip'].astype(str)), 'zooms': [float(z) for z in image.header.get_zooms()[:3]],
                'codes': [int(image.header['qform_code']), int(image.header['sform_code'])]})
json.dump(out, open('out.json', 'w'))
`

test('nibabel reads what is written: the same bytes of voxels, type, affine in both forms, and units', {
  skip: skipWithoutMonai,
}, async () => {
  const arrays = [
    Uint8Array,
    Int8Array,
    Uint16Array,
    Int16Array,
    Uint32Array,
    Int32Array,
    Float32Array,
    Float64Array,
  ]
  const volumes: Volume[] = variedGrids().map((grid, n) => {
    const { data, ...rest } = noiseVolume({ ...grid, affine: grid.affine.map(Math.fround) }, 1 + (n % 3), n)
    const Type = arrays[n % arrays.length]!
    const lift = Type === Uint8Array || Type === Uint16Array || Type === Uint32Array ? 100 : 0
    return { data: Type.from(data.map((value) => value * 100 + lift)), ...rest }
  })
  const files: Record<string, Uint8Array | string> = {
    'list.json': JSON.stringify(volumes.map(({ shape }) => shape)),
  }
  for (const [i, volume] of volumes.entries())
    files[`${i}.nii.gz`] = await writeNifti(volume, { gzip: true, description: `volume ${i}` })
  const [answer, ...values] = await askPython(READER, files, [
    'out.json',
    ...volumes.map((_, i) => `${i}.values`),
  ])
  const found = JSON.parse(String(answer)) as Record<string, number[]>[]
  for (const [i, { data, shape, channels, affine }] of volumes.entries()) {
    const { affine: sform, qform, codes, zooms, ...rest } = found[i]!
    assert.deepEqual(sform, [...reversedAxes(affine)], 'the sform is exact')
    close(qform!, sform!, 2e-5, 'the qform says the same')
    assert.deepEqual(codes, [1, 1])
    assert.ok(zooms!.every((size) => size > 0))
    assert.deepEqual(rest, {
      shape: [shape[2], shape[1], shape[0], ...(channels > 1 ? [channels] : [])],
      dtype: data.constructor.name.replace('Array', '').toLowerCase(),
      units: 'mm',
      description: `volume ${i}`,
    })
    assert.deepEqual(
      new Uint8Array(values[i]!),
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    )
  }
})

function unpack(pack: Buffer): Map<string, Uint8Array> {
  const end = 4 + pack.readUInt32LE(0)
  const index = JSON.parse(String(pack.subarray(4, end))) as [string, number][]
  const files = new Map<string, Uint8Array>()
  let at = end
  for (const [name, size] of index) {
    files.set(name, new Uint8Array(pack.subarray(at, at + size)))
    at += size
  }
  return files
}

function close(
  found: Voxels | readonly number[],
  expected: Voxels | readonly number[],
  tolerance: number,
  what: string,
) {
  assert.equal(found.length, expected.length, what)
  for (let i = 0; i < found.length; i++)
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= tolerance * Math.max(1, Math.abs(expected[i]!)),
      `${what}: ${found[i]}, expected ${expected[i]}`,
    )
}
