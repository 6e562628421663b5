import { basename } from 'node:path'
import { z } from 'zod'
import type { DataSet } from '../imaging/dicom/data_set.ts'
import { type DicomInstance, readDicomHeader } from '../imaging/dicom/instance.ts'
import { isDicom } from '../imaging/dicom/signature.ts'
import { ImageError } from '../imaging/image_error.ts'
import { Attributes } from '../schema/case.ts'
import { readStart } from '../storage/local.ts'

/** What of a DICOM file's header decides which case it belongs to. */
export const DicomHeader = z.strictObject({
  patient: z.string().nullable(),
  study: z.string().nullable(),
  series: z.string().nullable(),
  instance: z.string().nullable(),
  accession: z.string().nullable(),
  sop_class: z.string().nullable(),
  modality: z.string().nullable(),
  description: z.string().nullable().describe('Of the series.'),
  is_localizer: z.boolean(),
  frames: z.int().min(0).describe('0: it holds no image.'),
  burned_in: z.boolean().nullable(),
  attributes: Attributes,
  drawn_on: z
    .string()
    .nullable()
    .describe('Of a segmentation or structure set: the series that it refers to.'),
})
export type DicomHeader = z.infer<typeof DicomHeader>

/** What one file is: DICOM, something else (null), or DICOM that cannot be read. */
export type FileHeader = { header: DicomHeader | null } | { reason: string }

/** Headers end within the first length nearly always; private elements and icons push them further back. */
const LENGTHS = [2 ** 16, 2 ** 21]

/** Reads as much of the start of a file as its header takes. A directory (DICOMDIR) is nothing to be read here. */
export async function readFileHeader(path: string, size: number): Promise<FileHeader> {
  if (/^dicomdir$/i.test(basename(path))) return { header: null }
  const instance = await readDicomStart(path, size).catch((error) => {
    if (error instanceof ImageError) return { reason: error.message }
    throw error
  })
  if (instance === null) return { header: null }
  return 'reason' in instance ? instance : { header: headerOf(instance) }
}

/**
 * A DICOM file's header from no more of the file than it takes; null if it is something else.
 *
 * @throws {ImageError} if it is damaged
 */
export async function readDicomStart(path: string, size: number): Promise<DicomInstance | null> {
  for (const length of [...LENGTHS, size]) {
    const start = await readStart(path, Math.min(length, size))
    if (!isDicom(start)) return null
    const isWhole = start.length >= size || length >= size
    try {
      const instance = readDicomHeader(start)
      if (isWhole || instance.image !== null) return instance
    } catch (error) {
      // Cut within an element, as the start of any longer header is.
      if (isWhole || !(error instanceof ImageError)) throw error
    }
  }
  throw new Error('not reached: the last length is that of the file')
}

function headerOf(instance: DicomInstance): DicomHeader {
  const { dataSet } = instance.file
  return {
    patient: instance.patientId,
    study: instance.studyUid,
    series: instance.seriesUid,
    instance: instance.sopInstanceUid,
    accession: instance.accessionNumber,
    sop_class: instance.sopClassUid,
    modality: instance.modality,
    description: dataSet.string('SeriesDescription'),
    is_localizer: instance.imageType[2] === 'LOCALIZER',
    frames: instance.image?.numFrames ?? 0,
    burned_in: instance.burnedInAnnotation,
    attributes: {
      sex: dataSet.string('PatientSex'),
      age: yearsOf(dataSet),
      view: dataSet.string('ViewPosition'),
      laterality: dataSet.string('ImageLaterality') ?? dataSet.string('Laterality'),
      body_part: dataSet.string('BodyPartExamined'),
      modality: instance.modality,
      manufacturer: dataSet.string('Manufacturer'),
      model: dataSet.string('ManufacturerModelName'),
    },
    drawn_on: seriesDrawnOn(dataSet),
  }
}

const YEARS: Record<string, number> = { D: 1 / 365.25, W: 7 / 365.25, M: 1 / 12, Y: 1 }

/** Whole years, by PatientAge or else by the dates of birth and study. */
function yearsOf(dataSet: DataSet): number | null {
  const [, digits, unit] = /^(\d{1,3})([DWMY])$/.exec(dataSet.string('PatientAge') ?? '') ?? []
  if (digits !== undefined) return Math.floor(Number(digits) * YEARS[unit!]!)
  const dates = [dataSet.string('PatientBirthDate'), dataSet.string('StudyDate')]
  const [birth, study] = dates.map((date) => (/^\d{8}$/.test(date ?? '') ? Number(date) : null))
  if (birth === null || birth === undefined || study === null || study === undefined) return null
  // Dates as numbers yyyymmdd differ by 10,000 a birthday.
  const years = Math.floor((study - birth) / 10_000)
  return years >= 0 && years < 150 ? years : null
}

function seriesDrawnOn(dataSet: DataSet): string | null {
  const ofStructures = dataSet
    .items('ReferencedFrameOfReferenceSequence')
    .flatMap((frame) => frame.items('RTReferencedStudySequence'))
    .flatMap((study) => study.items('RTReferencedSeriesSequence'))
  const [series] = [...dataSet.items('ReferencedSeriesSequence'), ...ofStructures]
  return series?.string('SeriesInstanceUID') ?? null
}
