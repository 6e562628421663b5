// DICOM series and masks for tests, with the identifiers of `dicom_fixture.ts`.
import { readSeries } from '../imaging/dicom/read_series.ts'
import { writeSegmentation } from '../imaging/dicom/seg_write.ts'
import { planSeries } from '../imaging/dicom/series.ts'
import { nestedBoxes, obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { identity, PLACES, writeBelow } from './dicom_fixture.ts'

/** What `nestedBoxes` holds. */
export const SERIES_STRUCTURES = [
  { name: 'organ', values: [1] },
  { name: 'lesion', values: [2] },
  { name: 'core', values: [3] },
]

/** Of the n-th patient; `obliqueSeries` numbers no instance. */
function ofPatient(n: number, k: number) {
  const { name, id, birth, study_date, accession, study, series } = identity(n)
  return {
    ...{ PatientName: name, PatientID: id, PatientBirthDate: birth, PatientAge: '091Y' },
    ...{ StudyDate: study_date, AccessionNumber: accession, StudyInstanceUID: study },
    ...{ SeriesInstanceUID: series, SOPInstanceUID: `${series}.${k + 1}`, Modality: 'MR' },
    ...{ InstitutionName: PLACES.institution, ReferringPhysicianName: PLACES.physician },
  }
}

/** The files of the n-th patient's series: 6 slices of 7 × 9, oblique. */
export function seriesFiles(n: number): Uint8Array[] {
  return Array.from({ length: 6 }, (_, k) => obliqueSeries(ofPatient(n, k)).files[k]!)
}

let serial = 0
/** The n-th patient's series and, beside it, a DICOM Segmentation drawn on it. */
export async function writeSegmentedSeries(root: string, n: number): Promise<void> {
  const { folder } = identity(n)
  const files = seriesFiles(n)
  for (const [k, bytes] of files.entries()) await writeBelow(root, `${folder}/mr/I${k}`, bytes)
  const plan = planSeries(readSeries(files))
  const seg = writeSegmentation({
    mask: nestedBoxes(plan),
    structures: SERIES_STRUCTURES,
    series: plan,
    model: { name: 'reader', version: '1', digest: 'none' },
    created: new Date(2020, 0, 2),
    newUid: () => `1.2.826.0.1.3680043.80.${++serial}`,
  })
  await writeBelow(root, `${folder}/seg`, seg)
}
