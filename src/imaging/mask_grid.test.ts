import assert from 'node:assert/strict'
import { test } from 'node:test'
import { voxelSizes } from './geometry/affine.ts'
import { axcodes, reorient } from './geometry/orientation.ts'
import { cornersApart, isSameGrid } from './geometry/same_grid.ts'
import { checkMaskGrid, maskOnGrid } from './mask_grid.ts'
import { noiseVolume, variedGrids } from './testing/grids.ts'

test('a grid is the same within a tenth of its smallest voxel at every corner, and not beyond', () => {
  for (const grid of variedGrids()) {
    const voxel = Math.min(...voxelSizes(grid.affine))
    const moved = (voxels: number) => ({ ...grid, affine: grid.affine.with(7, 17.5 + voxels * voxel) })
    assert.ok(Math.abs(cornersApart(moved(0.4), grid) - 0.4 * voxel) < 1e-9)
    assert.ok(isSameGrid(moved(0.09), grid) && !isSameGrid(moved(0.11), grid), grid.name)
    // A hundredth longer voxel: nothing at the first corner, two tenths of a voxel at the far one.
    assert.ok(!isSameGrid({ ...grid, affine: grid.affine.map((v, i) => (i % 4 === 2 ? 1.01 * v : v)) }, grid))
    assert.ok(!isSameGrid({ ...grid, shape: [grid.shape[0], grid.shape[1], grid.shape[2] + 1] }, grid))
  }
})

test('a mask stored in any other orientation comes to lie over its image, voxel for voxel', () => {
  for (const grid of variedGrids()) {
    const mask = noiseVolume(grid, 1)
    for (const codes of ['RAS', 'LPS', 'SAR', 'IPL']) {
      const turned = reorient(mask, codes)
      const { data, shape, affine } = maskOnGrid(turned, grid)
      assert.deepEqual(data, mask.data, `${grid.name} as ${codes}`)
      assert.ok(isSameGrid({ shape, affine }, grid))
      assert.equal(checkMaskGrid(turned, grid) === null, axcodes(grid.affine) === codes)
    }
  }
})

test('a mirrored header is another grid, however the mask is turned', () => {
  const [grid] = variedGrids()
  const mask = noiseVolume(grid!, 1)
  const mirrored = grid!.affine.map((v, i) => (i < 4 ? -v : v))
  assert.throws(() => maskOnGrid({ ...mask, affine: mirrored }, grid!), /corners lie up to \d+\.\d+ mm apart/)
})
