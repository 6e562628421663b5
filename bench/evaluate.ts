/**
 * Time of an evaluation the size of ChestX-ray14's test split: 25,596 cases of 2,797 patients, 14 labels, 2,000
 * patient-clustered resamples, every metric, one process and one thread. Goal: below 10 s on 2 cores.
 *
 *   node bench/evaluate.ts
 */
import { evaluatePredictions } from '../src/evaluate/evaluate.ts'
import { madePredictions, optionsFor } from '../src/evaluate/predictions_fixture.ts'

const labels = Array.from({ length: 14 }, (_, i) => `finding ${i + 1}`)
const predictions = madePredictions({ cases: 25_596, patients: 2_797, labels, seed: 0, prevalence: 0.08 })

for (const subgroups of [[], ['sex'], ['sex', 'age']]) {
  const start = performance.now()
  evaluatePredictions(predictions, optionsFor(labels, { bootstrap: 2000, subgroups }))
  console.log(
    JSON.stringify({
      cases: predictions.length,
      labels: labels.length,
      resamples: 2000,
      subgroups,
      seconds: Number(((performance.now() - start) / 1000).toFixed(2)),
      memory_mb: Math.round(process.memoryUsage().rss / 1e6),
    }),
  )
}
