import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { readTextIfExists } from '../storage/local.ts'

/** An evaluation of masks that a run's folder holds; null where there is none, or it is torn or of another version. */
export async function readSegmentEvaluation(path: string): Promise<SegmentEvaluation | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  try {
    return SegmentEvaluation.parse(JSON.parse(text))
  } catch {
    return null
  }
}
