import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { padded, randomPair } from './masks_fixture.ts'
import { measureMasks } from './measure_masks.ts'

const PYTHON = join(import.meta.dirname, '../../.venv/bin/python')
const hasMonai = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import monai']).status === 0
const SCRIPT = `
import json, sys, warnings
warnings.filterwarnings("ignore")
import torch
from monai.metrics import compute_dice, compute_surface_dice
out = []
for c in json.load(sys.stdin):
    y, p = (torch.tensor(c[k]).reshape(1, 1, *c["shape"]) == 1 for k in ("reference", "prediction"))
    surface = compute_surface_dice(p, y, [c["tolerance"]], include_background=True, spacing=c["spacing_mm"], use_subvoxels=True)
    out.append([compute_dice(p.float(), y.float()).item(), surface.item()])
json.dump(out, sys.stdout)
`

test("Dice, and surface Dice of masks that the image does not cut off, are MONAI's (use_subvoxels)", {
  skip: hasMonai ? false : 'no MONAI: run "npm run setup"',
}, () => {
  const cases = Array.from({ length: 60 }, (_, seed) => ({
    ...padded(randomPair(seed), 1),
    tolerance: 0.7 + seed / 20,
  })).filter(({ reference, prediction }) => reference.includes(1) && prediction.includes(1))
  assert.ok(cases.length > 20)
  const input = JSON.stringify(
    cases.map((c) => ({ ...c, reference: [...c.reference], prediction: [...c.prediction] })),
  )
  const { stdout, stderr, status } = spawnSync(PYTHON, ['-c', SCRIPT], { input, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const expected = JSON.parse(stdout) as [number, number][]
  for (const [i, c] of cases.entries()) {
    const { dice, surface_dice } = measureMasks(c, { one: [1] }, c.tolerance).per_label.one!
    // MONAI's are 32-bit floats.
    assert.ok(Math.abs(expected[i]![0] - dice!) < 1e-6, `Dice of pair ${i}`)
    assert.ok(Math.abs(expected[i]![1] - surface_dice!) < 2e-6, `surface Dice of pair ${i}`)
  }
})
