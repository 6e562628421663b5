import { seededIntegers } from './random.ts'

/** Something measured on every resample: fills a row, given how often each patient was drawn. */
export interface Resampled {
  size: number
  measure(drawn: Uint16Array, row: Float64Array): void
}

/**
 * Patient-clustered bootstrap: each resample draws as many patients as there are, with replacement, and a patient's
 * cases count as often as the patient was drawn. All `measured` see the same resamples, so their differences and means
 * can be taken resample by resample.
 *
 * @param resamples number of resamples, e.g. 2000
 * @param seed the same seed gives the same resamples on every platform
 * @returns per measured thing, per place of its row, one value a resample; NaN where undefined
 * @see Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13
 */
export function patientBootstrap(
  numPatients: number,
  measured: readonly Resampled[],
  { resamples, seed }: { resamples: number; seed: number },
): Float64Array[][] {
  const draw = seededIntegers(seed)
  const drawn = new Uint16Array(numPatients)
  const rows = measured.map(({ size }) => new Float64Array(size))
  const samples = measured.map(({ size }) => Array.from({ length: size }, () => new Float64Array(resamples)))
  for (let b = 0; b < resamples; b++) {
    drawn.fill(0)
    for (let i = 0; i < numPatients; i++) drawn[draw(numPatients)]!++
    measured.forEach((one, m) => {
      const row = rows[m]!
      one.measure(drawn, row)
      const into = samples[m]!
      for (let j = 0; j < row.length; j++) into[j]![b] = row[j]!
    })
  }
  return samples
}
