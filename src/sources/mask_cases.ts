import type { Case } from '../schema/case.ts'
import type { SegmentTask } from '../schema/task.ts'
import { structuresOf } from '../schema/task.ts'
import type { DatasetDescription } from './dataset_json.ts'
import { patientPattern } from './patient_pattern.ts'
import type { SourceData, SourceRequest } from './source_data.ts'

export interface MaskedVolume {
  case_id: string
  /** Root-relative, one a channel or one of all channels. */
  images: string[]
  mask: string
  fold?: number
}

const NO_PATIENTS =
  'Nothing names the patients, so every case is its own. If a patient has several, give data.source.patient a pattern.'

/** Cases of volumes with masks; which structures a mask holds is known once it is read. */
export function maskedCases(
  found: readonly MaskedVolume[],
  skipped: SourceData['skipped'],
  warnings: string[],
  description: Pick<DatasetDescription, 'modalities' | 'maskValues'>,
  patient: string | null,
  { task }: SourceRequest<SegmentTask>,
): SourceData {
  const ids = found.map(({ case_id }) => case_id)
  if (patient === null) warnings.push(NO_PATIENTS)
  const patients = patient === null ? [] : patientPattern(patient, ids, 'data.source.patient', warnings)
  const names = structuresOf(task).map(({ name }) => name)
  return {
    cases: found.map(
      ({ case_id, images, mask, fold }, i): Case => ({
        case_id,
        patient_id: patients[i] ?? case_id,
        images,
        mask,
        labels: Object.fromEntries(names.map((name) => [name, null])),
        attributes: {},
        ...(fold === undefined ? {} : { fold }),
      }),
    ),
    labels: names,
    warnings,
    has_given_split: false,
    synthetic: false,
    skipped,
    volumes: { modalities: description.modalities, maskValues: description.maskValues },
  }
}
