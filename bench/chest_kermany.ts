/**
 * The whole path on chest-kermany, 96 px, no pretrained weights, three seeds of split and training: AUROC of held-out
 * patients, seconds from prepare to package, and the share of training that waited for data. Goals: mean AUROC at
 * least 0.985, below 180 s each on 2 cores, data wait below 2 %.
 *
 *   node bench/chest_kermany.ts [recipe]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Evaluation } from '../src/schema/evaluation.ts'
import type { RunResult } from '../src/schema/results.ts'
import { runFiducial } from './run_fiducial.ts'

const recipe = process.argv[2] ?? fileURLToPath(new URL('../recipes/chest-kermany.yaml', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'fiducial-bench-'))
const aurocs: number[] = []
try {
  for (const seed of [0, 1, 2]) {
    const start = performance.now()
    const seeds = ['--set', `data.split.seed=${seed}`, '--set', `train.seed=${seed}`]
    const run = await runFiducial<RunResult>(
      ['run', recipe, ...seeds, '--out', join(folder, `set-${seed}`)],
      folder,
    )
    const seconds = (performance.now() - start) / 1000
    const test = await runFiducial<Evaluation>(['evaluate', run.run_dir, '--split', 'test'], folder)
    const auroc = Object.values(test.per_label)[0]!.auroc
    if (auroc.value !== null) aurocs.push(auroc.value)
    console.log(
      JSON.stringify({
        seed,
        test_auroc: auroc,
        seconds: Math.round(seconds),
        stages: Object.fromEntries(
          run.stages.map((stage) => [stage.stage, Number(stage.seconds.toFixed(1))]),
        ),
        data_wait_fraction: run.train.data_wait_fraction,
        certificate: run.package.certificate.passed,
      }),
    )
  }
  console.log(JSON.stringify({ mean_test_auroc: aurocs.reduce((a, b) => a + b, 0) / aurocs.length }))
} finally {
  await rm(folder, { recursive: true, force: true })
}
