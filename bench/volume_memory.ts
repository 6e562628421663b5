// Peak memory of preprocessing a CT of 512 × 512 × 1,000 slices and its mask, as a multiple of the volume's 16-bit voxels.
// Run alone: node bench/volume_memory.ts [slices]
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeNifti } from '../src/imaging/nifti/write.ts'
import { preprocessMask, preprocessVolume } from '../src/imaging/preprocess_volume.ts'
import type { VolumeSpec } from '../src/schema/preprocess.ts'

const SPEC: VolumeSpec = {
  kind: 'volume',
  channels: 1,
  orientation: 'RAS',
  spacing_mm: [1, 0.8, 0.8],
  resample: 'linear',
  crop: 'none',
  size: null,
  intensity: [{ kind: 'window', low: -200, high: 300 }],
  dtype: 'int16',
}

/** Of this process since it began; `resourceUsage` would count its parent's before it was started. */
function peakBytes(): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line![1]) * 1024
}

const [mode = 'all', file = '', mask = ''] = process.argv.slice(2)
if (mode === 'child') {
  const start = performance.now()
  const stored = await preprocessVolume([await readFile(file)], SPEC)
  globalThis.gc?.()
  const { shape } = stored
  await preprocessMask(await readFile(mask), stored)
  const seconds = (performance.now() - start) / 1000
  console.log(JSON.stringify({ shape, seconds, peak: peakBytes() }))
} else {
  const slices = mode === 'all' ? 1000 : Number(mode)
  const dir = mkdtempSync(join(tmpdir(), 'fiducial-memory-'))
  try {
    const voxels = new Int16Array(512 * 512 * slices)
    let state = 1
    for (let i = 0; i < voxels.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0
      voxels[i] = ((i >> 9) & 511) - 256 + (state >>> 28)
    }
    const volume = {
      data: voxels,
      channels: 1,
      shape: [slices, 512, 512] as const,
      affine: [0, 0, -0.8, 200, 0, -0.8, 0, 200, 1, 0, 0, -400, 0, 0, 0, 1],
    }
    const maskPath = join(dir, 'mask.nii.gz')
    const labels = new Uint8Array(voxels.length)
    for (let i = 0; i < labels.length; i++) labels[i] = voxels[i]! > 100 ? 1 : 0
    writeFileSync(maskPath, await writeNifti({ ...volume, data: labels }, { gzip: true }))
    for (const gzip of [false, true]) {
      const path = join(dir, gzip ? 'ct.nii.gz' : 'ct.nii')
      writeFileSync(path, await writeNifti(volume, { gzip }))
      const { stdout, stderr, status } = spawnSync(
        process.execPath,
        [import.meta.filename, 'child', path, maskPath],
        {
          encoding: 'utf8',
        },
      )
      if (status !== 0) throw new Error(stderr)
      const { shape, seconds, peak } = JSON.parse(stdout)
      console.log(
        JSON.stringify({
          file: gzip ? '.nii.gz' : '.nii',
          file_mb: Math.round(statSync(path).size / 1e6),
          volume_mb: Math.round(voxels.byteLength / 1e6),
          stored: shape.join('×'),
          peak_mb: Math.round(peak / 1e6),
          peak_over_volume: Number((peak / voxels.byteLength).toFixed(2)),
          seconds: Number(seconds.toFixed(1)),
        }),
      )
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
