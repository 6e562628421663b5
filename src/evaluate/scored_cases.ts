import type { Prediction } from '../schema/prediction.ts'
import { MetricError } from './metric_error.ts'

/** Predictions as columns: what every metric reads. */
export interface ScoredCases {
  labels: string[]
  isExclusive: boolean
  numCases: number
  /** Patient number per case, 0 … numPatients - 1, in order of first appearance. */
  patientOf: Int32Array
  numPatients: number
  /** Per label, one score a case. */
  scores: Float64Array[]
  /** Per label: 1 present, 0 absent, -1 unknown. */
  truth: Int8Array[]
  /** Multi-class only: class number per case, -1 unknown; and the class with the highest score, ties to the first. */
  trueClass: Int32Array | null
  predictedClass: Int32Array | null
}

/**
 * Columns of the predictions, checked.
 *
 * @throws {MetricError} naming the first case at fault: no prediction at all, a case twice, a missing label or score,
 *   a score that is no number or outside 0..1, or a multi-class case without exactly one class
 */
export function scoredCases(
  predictions: readonly Prediction[],
  task: { labels: readonly string[]; exclusive: boolean },
): ScoredCases {
  if (predictions.length === 0) throw new MetricError('There are no predictions to evaluate.')
  const labels = [...task.labels]
  const numCases = predictions.length
  const seen = new Set<string>()
  const patients = new Map<string, number>()
  const patientOf = new Int32Array(numCases)
  const scores = labels.map(() => new Float64Array(numCases))
  const truth = labels.map(() => new Int8Array(numCases))
  predictions.forEach((prediction, i) => {
    const { case_id, patient_id } = prediction
    if (seen.has(case_id)) throw new MetricError(`Case ${JSON.stringify(case_id)} is predicted twice.`)
    seen.add(case_id)
    if (!patients.has(patient_id)) patients.set(patient_id, patients.size)
    patientOf[i] = patients.get(patient_id)!
    labels.forEach((label, l) => {
      scores[l]![i] = checkedScore(prediction, label)
      truth[l]![i] = checkedTruth(prediction, label)
    })
  })
  const columns = {
    labels,
    isExclusive: task.exclusive,
    numCases,
    patientOf,
    numPatients: patients.size,
    scores,
    truth,
  }
  if (!task.exclusive) return { ...columns, trueClass: null, predictedClass: null }
  const trueClass = Int32Array.from(predictions, (prediction, i) => classOf(prediction, truth, i))
  const predictedClass = Int32Array.from(predictions, (_, i) =>
    scores.reduce((best, column, l) => (column[i]! > scores[best]![i]! ? l : best), 0),
  )
  return { ...columns, trueClass, predictedClass }
}

function checkedScore({ case_id, scores }: Prediction, label: string): number {
  const score = scores[label]
  const where = `Case ${JSON.stringify(case_id)}, label ${label}`
  if (score === undefined) throw new MetricError(`${where}: there is no score.`)
  if (Number.isNaN(score)) throw new MetricError(`${where}: the score is not a number.`)
  if (score < 0 || score > 1)
    throw new MetricError(
      `${where}: the score is ${score}, outside 0..1.\n  do: if these are logits, apply sigmoid (or softmax) first.`,
    )
  return score
}

function checkedTruth({ case_id, labels }: Prediction, label: string): number {
  const value = labels[label]
  if (value === undefined) throw new MetricError(`Case ${JSON.stringify(case_id)} has no label ${label}.`)
  return value ?? -1
}

function classOf({ case_id }: Prediction, truth: readonly Int8Array[], i: number): number {
  const present = truth.flatMap((column, l) => (column[i] === 1 ? [l] : []))
  if (present.length === 1) return present[0]!
  if (present.length === 0 && truth.some((column) => column[i] === -1)) return -1
  throw new MetricError(
    `Case ${JSON.stringify(case_id)} has ${present.length} classes; a multi-class case has exactly one.`,
  )
}
