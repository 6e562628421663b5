/**
 * The whole preparation of volumes like BraTS's, 155×240×240 with 4 modalities and a mask, .nii.gz in and shards out, to
 * [2.0, 1.5, 1.5] mm with 2 workers: `fiducial prepare` from its start to its end, against MONAI's transforms in as many
 * processes that save what they make as .npy, its import and start-up left out. Goal: twice MONAI's speed. CPU time of
 * all processes and wall time, the best of several rounds that alternate, as ratios. `node bench/prepare_volumes.ts [cases]`
 *
 * 2026-11-28, 2 cores shared with other work, 12 cases: 2.3 by CPU time (5.7 s against 13.0 s).
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeNifti } from '../src/imaging/nifti/write.ts'
import { randomSource } from '../src/imaging/testing/samples.ts'
import type { Affine, Triple } from '../src/imaging/volume.ts'
import { fiducialPath } from './run_fiducial.ts'

const ROUNDS = 2
const WORKERS = 2
const shape: Triple = [155, 240, 240]
const affine: Affine = [0, 0, -1, 0, 0, -1, 0, 239, 1, 0, 0, 0, 0, 0, 0, 1]

const count = Number(process.argv[2] ?? 12)
const python = join(import.meta.dirname, '../.venv/bin/python')
const work = mkdtempSync(join(tmpdir(), 'fiducial-bench-volumes-'))
try {
  await writeCases()
  const ours: Times[] = []
  const monai: Times[] = []
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(prepareOurs(join(work, `ours-${round}`)))
    monai.push(prepareMonai(join(work, `monai-${round}`)))
  }
  const best = (times: readonly Times[], key: keyof Times) => Math.min(...times.map((one) => one[key]))
  const figures = (key: keyof Times) => ({
    ours: Number(best(ours, key).toFixed(2)),
    monai: Number(best(monai, key).toFixed(2)),
    times_monais_speed: Number((best(monai, key) / best(ours, key)).toFixed(2)),
  })
  console.log(JSON.stringify({ cases: count, workers: WORKERS, cpu: figures('cpu'), wall: figures('wall') }))
} finally {
  rmSync(work, { recursive: true, force: true })
}

interface Times {
  /** Seconds. */
  cpu: number
  wall: number
}

function prepareOurs(out: string): Times {
  const times = `${out}.times`
  execFileSync(
    'bash',
    [
      '-c',
      'TIMEFORMAT="%U %S %R"; { time "$@" 2>&3 >/dev/null; } 3>&2 2>"$TIMES"',
      '_',
      ...[fiducialPath, 'prepare', join(work, 'recipe.yaml'), '--out', out, '--quiet'],
      ...['--workers', String(WORKERS)],
    ],
    { env: { ...process.env, TIMES: times }, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const [user, system, wall] = readFileSync(times, 'utf8').trim().split(' ').map(Number)
  rmSync(out, { recursive: true })
  return { cpu: user! + system!, wall: wall! }
}

function prepareMonai(out: string): Times {
  mkdirSync(out)
  const script = join(import.meta.dirname, 'prepare_volumes.py')
  const printed = execFileSync(python, [script, join(work, 'data'), out, String(WORKERS)], {
    encoding: 'utf8',
  })
  rmSync(out, { recursive: true })
  return JSON.parse(printed.trim().split('\n').at(-1)!) as Times
}

/** A brain-shaped body with structures and noise in a field of zeros, which takes up about a fifth of it, as in BraTS. */
async function writeCases(): Promise<void> {
  const data = join(work, 'data')
  for (const folder of ['imagesTr', 'labelsTr']) mkdirSync(join(data, folder), { recursive: true })
  const [Z, Y, X] = shape
  for (let n = 0; n < count; n++) {
    const next = randomSource(n + 1)
    const image = new Int16Array(4 * Z * Y * X)
    const mask = new Uint8Array(Z * Y * X)
    for (let c = 0; c < 4; c++)
      for (let z = 0, at = 0; z < Z; z++)
        for (let y = 0; y < Y; y++)
          for (let x = 0; x < X; x++, at++) {
            const r = Math.hypot((z - 75) / 62, (y - 120) / 82, (x - 118) / 66)
            if (r > 1) continue
            const lesion = Math.hypot((z - 90) / 14, (y - 95 - n) / 20, (x - 90) / 17)
            const value = 300 + 120 * Math.sin(z / 9 + c) * Math.cos(y / 11) * Math.sin(x / 8)
            image[c * Z * Y * X + at] = value + (lesion < 1 ? 150 * (c + 1) : 0) + (next() % 60)
            if (c === 0 && lesion < 1) mask[at] = lesion < 0.4 ? 3 : lesion < 0.7 ? 2 : 1
          }
    const grid = { shape, affine }
    const name = `case_${n}.nii.gz`
    writeFileSync(
      join(data, 'imagesTr', name),
      await writeNifti({ ...grid, channels: 4, data: image }, { gzip: true }),
    )
    writeFileSync(
      join(data, 'labelsTr', name),
      await writeNifti({ ...grid, channels: 1, data: mask }, { gzip: true }),
    )
  }
  const described = {
    modality: { 0: 'FLAIR', 1: 'T1w', 2: 'T1gd', 3: 'T2w' },
    labels: { 0: 'background', 1: 'edema', 2: 'non-enhancing tumor', 3: 'enhancing tumour' },
    training: Array.from({ length: count }, (_, n) => ({
      image: `./imagesTr/case_${n}.nii.gz`,
      label: `./labelsTr/case_${n}.nii.gz`,
    })),
  }
  writeFileSync(join(data, 'dataset.json'), JSON.stringify(described))
  writeFileSync(
    join(work, 'recipe.yaml'),
    [
      'name: bench',
      'data: { root: data, source: decathlon, split: { val: 0.2, test: 0 } }',
      'prepare: { orientation: RAS, spacing_mm: [2.0, 1.5, 1.5], intensity: nonzero_zscore }',
      'task: { kind: segment, regions: { WT: [1, 2, 3], TC: [2, 3], ET: [3] } }',
      '',
    ].join('\n'),
  )
}
