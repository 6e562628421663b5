import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { noiseVolume, variedGrids } from '../testing/grids.ts'
import { askPython, skipWithoutMonai } from '../testing/monai.ts'
import type { Triple, Volume } from '../volume.ts'
import { voxelSizes } from './affine.ts'
import { type GridRequest, planGrid } from './grid.ts'
import { axcodes, reorient } from './orientation.ts'
import { resample } from './resample.ts'
import type { Interpolation } from './taps.ts'

/** MONAI and nibabel index (x, y, z); arrays and affines are turned round on the way in and out. */
const MONAI = `
import json, numpy as np, torch, nibabel as nib
from monai.data import MetaTensor
from monai.transforms import Orientationd, Spacingd
torch.set_num_threads(2)
swap = lambda affine: np.asarray(affine, dtype=np.float64).reshape(4, 4)[:, [2, 1, 0, 3]]
out = []
for i, case in enumerate(json.load(open('cases.json'))):
    data = np.fromfile(f'in{i}.bin', dtype=np.float32).reshape(case['channels'], *case['shape'])
    item = {'v': MetaTensor(data.transpose(0, 3, 2, 1).copy(), affine=torch.as_tensor(swap(case['affine'])))}
    codes = ''.join(nib.aff2axcodes(swap(case['affine'])))
    if case['orientation']:
        item = Orientationd(keys='v', axcodes=case['orientation'], labels=(('L', 'R'), ('P', 'A'), ('I', 'S')))(item)
    if case['spacing_mm']:
        item = Spacingd(keys='v', pixdim=case['spacing_mm'][::-1], mode=case['mode'])(item)
    found = item['v']
    np.ascontiguousarray(found.numpy().transpose(0, 3, 2, 1), dtype=np.float32).tofile(f'out{i}.bin')
    out.append({'shape': found.shape[:0:-1], 'affine': swap(found.affine.numpy()).ravel().tolist(), 'axcodes': codes})
json.dump(out, open('out.json', 'w'))
`

interface Case extends GridRequest {
  name: string
  volume: Volume & { data: Float32Array }
  mode?: 'bilinear' | 'nearest'
}

interface Answer {
  shape: Triple
  affine: number[]
  axcodes: string
  data: Float32Array
}

async function askMonai(cases: Case[]): Promise<Answer[]> {
  const list = cases.map(({ volume, orientation, spacing_mm, mode = 'bilinear' }) => {
    const { channels, shape, affine } = volume
    return { channels, shape, affine, orientation, spacing_mm, mode }
  })
  const files = Object.fromEntries(cases.map(({ volume }, i) => [`in${i}.bin`, volume.data]))
  const [answer, ...arrays] = await askPython(MONAI, { 'cases.json': JSON.stringify(list), ...files }, [
    'out.json',
    ...cases.map((_, i) => `out${i}.bin`),
  ])
  const grids = JSON.parse(String(answer)) as Omit<Answer, 'data'>[]
  return grids.map((grid, i) => ({ ...grid, data: new Float32Array(Uint8Array.from(arrays[i]!).buffer) }))
}

const SPACINGS: Triple[] = [
  [2, 1.5, 1.5],
  [1, 0.7, 1.9],
  [3.1, 2.2, 1.3],
]
const CODES = ['RAS', 'LPS', 'ASL', 'SPR', 'IRA']
const GRIDS = variedGrids()

/** Of all tests, since starting MONAI takes longer than what it is asked. */
const CASES = {
  both: GRIDS.flatMap((grid, n) =>
    SPACINGS.map((spacing_mm, k): Case => {
      const orientation = CODES[(n + k) % CODES.length]!
      const name = `${grid.name}, ${orientation}, ${spacing_mm}`
      return { name, volume: noiseVolume(grid, 2, n), orientation, spacing_mm }
    }),
  ),
  spacing: GRIDS.map(
    (grid, n): Case => ({
      name: grid.name,
      volume: noiseVolume(grid, 1, n),
      orientation: null,
      spacing_mm: [2, 1.1, 1.7],
    }),
  ),
  nothing: GRIDS.map(
    (grid, n): Case => ({
      name: grid.name,
      volume: noiseVolume(grid, 1, n),
      orientation: null,
      // Within 1e-3 mm of what is there.
      spacing_mm: voxelSizes(grid.affine).map((size) => size + 5e-4) as unknown as Triple,
    }),
  ),
  rounded: GRIDS.map((grid, n): Case => {
    const volume = noiseVolume({ shape: grid.shape, affine: grid.affine.map(Math.fround) }, 1, n)
    return { name: grid.name, volume, orientation: 'RAS', spacing_mm: [2, 1.5, 1.5] }
  }),
  nearest: GRIDS.map((grid, n): Case => {
    const volume = noiseVolume(grid, 1, n)
    for (let i = 0; i < volume.data.length; i++) volume.data[i] = Math.round(volume.data[i]! * 3)
    return { name: grid.name, volume, orientation: 'RAS', spacing_mm: [1.931, 1.373, 1.617], mode: 'nearest' }
  }),
  orientation: GRIDS.map(
    (grid, n): Case => ({
      name: grid.name,
      volume: noiseVolume(grid, 2, n),
      orientation: CODES[n % CODES.length]!,
      spacing_mm: null,
    }),
  ),
}

const answers = new Map<Case, Answer>()
before(async () => {
  if (skipWithoutMonai !== false) return
  const all = Object.values(CASES).flat()
  for (const [i, answer] of (await askMonai(all)).entries()) answers.set(all[i]!, answer)
})

function compare(cases: Case[], interpolation: Interpolation, tolerance: number): void {
  for (const given of cases) {
    const { name, volume, ...request } = given
    const expected = answers.get(given)!
    const grid = planGrid(volume, request)
    assert.deepEqual([...grid.shape], [...expected.shape], name)
    assertClose(grid.affine, expected.affine, 1e-5, `affine, ${name}`)
    assertClose(resample(volume, grid, { interpolation }).data, expected.data, tolerance, name)
  }
}

function assertClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string) {
  assert.equal(found.length, expected.length, what)
  let worst = 0
  for (let i = 0; i < found.length; i++) worst = Math.max(worst, Math.abs(found[i]! - expected[i]!))
  assert.ok(worst <= tolerance, `${what}: ${worst}`)
}

test(
  "orientation and spacing are MONAI's Orientationd and Spacingd: shapes, affines and values",
  {
    skip: skipWithoutMonai,
  },
  () => compare(CASES.both, 'linear', 2e-5),
)

test('spacing alone is so too', { skip: skipWithoutMonai }, () => compare(CASES.spacing, 'linear', 2e-5))

test('a volume that has the spacing already keeps its values', { skip: skipWithoutMonai }, () =>
  compare(CASES.nothing, 'linear', 0),
)

test(
  'grids whose affine a file rounded to float32 are placed as MONAI places them',
  {
    skip: skipWithoutMonai,
  },
  () => compare(CASES.rounded, 'linear', 2e-4),
)

test('labels take the nearest voxel, as MONAI rounds', { skip: skipWithoutMonai }, () =>
  compare(CASES.nearest, 'nearest', 0),
)

test("axcodes are nibabel's, and reorient moves the same voxels as MONAI", { skip: skipWithoutMonai }, () => {
  for (const given of CASES.orientation) {
    const { name, volume, orientation } = given
    const expected = answers.get(given)!
    assert.equal(axcodes(volume.affine), expected.axcodes, name)
    const found = reorient(volume, orientation!)
    assert.equal(axcodes(found.affine), orientation, name)
    assert.deepEqual([...found.shape], [...expected.shape], name)
    assertClose(found.affine, expected.affine, 1e-9, name)
    assertClose(found.data, expected.data, 0, name)
  }
})
