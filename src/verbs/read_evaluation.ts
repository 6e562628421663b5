import { Evaluation } from '../schema/evaluation.ts'
import { readTextIfExists } from '../storage/local.ts'

/** An evaluation that a run's folder holds; null where there is none, or it is torn or of another version. */
export async function readEvaluation(path: string): Promise<Evaluation | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  try {
    return Evaluation.parse(JSON.parse(text))
  } catch {
    return null
  }
}
