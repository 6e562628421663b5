/**
 * Images a second through `prepare`, and the memory of a worker: 1024² 8-bit grey PNGs of about 500 kB to 224², by
 * 1 worker and by one a core. `node bench/prepare.ts [images]`
 *
 * 2026-11-21, 2 cores shared with other work: 12 CPU-ms an image (decode 7.7, resize 3.2, SHA-256 0.6), which
 * allows 166 a second on two idle cores; 150-180 MB a worker.
 */
import { link, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodePng } from '#raster'
import { plainSpec, randomSource } from '../src/imaging/testing/samples.ts'
import { makeShards } from '../src/prepare/worker_pool.ts'

const count = Number(process.argv[2] ?? 400)
const side = 1024
const distinct = 20
const shards = 8

const root = await mkdtemp(join(tmpdir(), 'fiducial-bench-prepare-'))
try {
  await writeImages()
  for (const workers of new Set([1, availableParallelism()])) await measure(workers)
} finally {
  await rm(root, { recursive: true })
}

/** Smooth shapes under noise, which compress about as radiographs do. */
async function writeImages(): Promise<void> {
  const next = randomSource(1)
  for (let i = 0; i < count; i++) {
    const path = join(root, `${i}.png`)
    if (i >= distinct) {
      await link(join(root, `${i % distinct}.png`), path)
      continue
    }
    const data = new Uint8Array(side * side)
    for (let y = 0, at = 0; y < side; y++)
      for (let x = 0; x < side; x++)
        data[at++] = 120 + 80 * Math.sin((6 * x) / side + i) * Math.cos((5 * y) / side) + (next() % 12)
    await writeFile(path, await encodePng({ data, height: side, width: side, channels: 1 }))
  }
}

async function measure(workers: number): Promise<void> {
  const jobs = Array.from({ length: shards }, (_, k) => ({
    name: String(k).padStart(5, '0'),
    cases: Array.from({ length: count }, (_, i) => i)
      .filter((i) => i % shards === k)
      .map((i) => ({ case_id: `c${i}`, images: [`${i}.png`] })),
  }))
  const start = performance.now()
  const peak = await makeShards(jobs, {
    folder: join(root, `staging-${workers}`),
    root,
    plan: {
      preprocess: plainSpec({ size: [224, 224] }),
      mask_values: null,
      mask_labels: null,
      brick: null,
      deidentified: false,
    },
    workers,
    signal: new AbortController().signal,
    onProgress: () => {},
  })
  const seconds = (performance.now() - start) / 1000
  console.log(
    JSON.stringify({
      workers,
      images_per_second: Math.round(count / seconds),
      peak_worker_mb: Math.round(peak / 1e6),
    }),
  )
}
