import type { Prediction } from '../schema/prediction.ts'
import type { EvaluateOptions } from './evaluate.ts'
import { seededIntegers } from './random.ts'

/** Seeded numbers in [0, 1) for tests and benchmarks. */
export function seededNumbers(seed: number): () => number {
  const draw = seededIntegers(seed)
  return () => draw(2 ** 20) / 2 ** 20
}

/**
 * Made-up predictions with a known kind of signal: a case's score is its truth plus noise, through a sigmoid.
 * `ties` rounds scores to so many steps.
 */
export function madePredictions(options: {
  cases: number
  patients: number
  labels: readonly string[]
  seed: number
  prevalence?: number
  signal?: number
  ties?: number
}): Prediction[] {
  const { cases, patients, labels, seed, prevalence = 0.3, signal = 1.5, ties } = options
  const random = seededNumbers(seed)
  return Array.from({ length: cases }, (_, i) => {
    const truth: Record<string, 0 | 1> = {}
    const logits: Record<string, number> = {}
    const scores: Record<string, number> = {}
    for (const label of labels) {
      truth[label] = random() < prevalence ? 1 : 0
      logits[label] = (random() + random() + random() - 1.5) * 2 + signal * (truth[label] - 0.5)
      const score = 1 / (1 + Math.exp(-logits[label]))
      scores[label] = ties ? Math.round(score * ties) / ties : score
    }
    return {
      case_id: `case-${i}`,
      patient_id: `patient-${i < patients ? i : Math.floor(random() * patients)}`,
      labels: truth,
      logits,
      scores,
      attributes: { sex: random() < 0.5 ? 'F' : 'M', age: Math.floor(random() * 90) },
    }
  })
}

/** Options of a plain validation evaluation; tests change what they are about. */
export function optionsFor(
  labels: readonly string[],
  changes: Partial<EvaluateOptions> = {},
): EvaluateOptions {
  return {
    task: { labels, exclusive: false },
    source: 'made predictions',
    split: 'val',
    rule: { maximize: 'youden', subject_to: {} },
    chosen_on: 'val',
    bootstrap: 200,
    confidence: 0.95,
    seed: 0,
    subgroups: [],
    test_openings: 0,
    ...changes,
  }
}
