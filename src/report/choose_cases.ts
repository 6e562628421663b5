import type { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'

export type CaseKind = 'right' | 'wrong' | 'near'
export interface ChosenCase {
  prediction: Prediction
  label: string
  kind: CaseKind
}

/** Images of each kind and label, and labels shown: few enough to look at, and for a file of some megabytes. */
const MOST_OF_A_KIND = 6
const MOST_LABELS = 4
/** Share of the confidence that is possible, below which a right decision is not called confident. */
const LEAST_CONFIDENCE = 0.1

/**
 * Cases worth looking at: most confident and right (half of them with the finding), most confident and wrong, and
 * nearest to the decision. One case a patient in each list. Confidence is the distance from the threshold as a share
 * of what is possible on that side; for multi-class, the lead of the highest score over the second.
 */
export function chooseCases(predictions: readonly Prediction[], evaluation: Evaluation): ChosenCase[] {
  const { task, operating_points } = evaluation
  if (task.exclusive) return chooseMulticlass(predictions, task.labels)
  const labels = task.labels.filter((label) => operating_points[label] !== undefined).slice(0, MOST_LABELS)
  return labels.flatMap((label) => {
    const { threshold } = operating_points[label]!
    const judged = predictions
      .filter((prediction) => prediction.labels[label] !== null)
      .map((prediction) => {
        const score = prediction.scores[label]!
        const isCalled = score >= threshold
        const confidence = isCalled
          ? (score - threshold) / Math.max(1 - threshold, Number.MIN_VALUE)
          : (threshold - score) / Math.max(threshold, Number.MIN_VALUE)
        const isPresent = prediction.labels[label] === 1
        return { prediction, label, confidence, isPresent, isRight: isCalled === isPresent }
      })
    return pick(judged)
  })
}

function chooseMulticlass(predictions: readonly Prediction[], labels: readonly string[]): ChosenCase[] {
  const judged = predictions.flatMap((prediction) => {
    const label = labels.find((name) => prediction.labels[name] === 1)
    if (label === undefined) return []
    const [first, second] = [...labels].sort((a, b) => prediction.scores[b]! - prediction.scores[a]!)
    const lead = prediction.scores[first!]! - (second === undefined ? 0 : prediction.scores[second]!)
    return [{ prediction, label, confidence: lead, isPresent: true, isRight: first === label }]
  })
  return pick(judged)
}

interface Judged {
  prediction: Prediction
  label: string
  confidence: number
  isPresent: boolean
  isRight: boolean
}

function pick(judged: readonly Judged[]): ChosenCase[] {
  const sure = [...judged].sort(
    (a, b) => b.confidence - a.confidence || (a.prediction.case_id < b.prediction.case_id ? -1 : 1),
  )
  const right = sure.filter((one) => one.isRight && one.confidence >= LEAST_CONFIDENCE)
  const present = onePatientEach(right.filter((one) => one.isPresent))
  const absent = onePatientEach(right.filter((one) => !one.isPresent))
  const numAbsent = Math.min(absent.length, MOST_OF_A_KIND / 2)
  const chosenRight = [
    ...present.slice(0, MOST_OF_A_KIND - numAbsent),
    ...absent.slice(0, MOST_OF_A_KIND - Math.min(present.length, MOST_OF_A_KIND - numAbsent)),
  ]
  const wrong = onePatientEach(sure.filter((one) => !one.isRight)).slice(0, MOST_OF_A_KIND)
  const taken = new Set([...chosenRight, ...wrong])
  const near = onePatientEach(sure.toReversed().filter((one) => !taken.has(one))).slice(0, MOST_OF_A_KIND)
  const as = (kind: CaseKind) => (one: Judged) => ({ prediction: one.prediction, label: one.label, kind })
  return [...chosenRight.map(as('right')), ...wrong.map(as('wrong')), ...near.map(as('near'))]
}

function onePatientEach(cases: readonly Judged[]): Judged[] {
  const seen = new Set<string>()
  return cases.filter(({ prediction: { patient_id } }) => !seen.has(patient_id) && seen.add(patient_id))
}
