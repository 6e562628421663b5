import { ImageError } from '../image_error.ts'
import type { DicomInstance } from './instance.ts'
import type { SeriesSlice } from './series.ts'
import { type Keyword, TAGS } from './tags.ts'
import { type DicomAttributes, LIMITS } from './write.ts'

/** What an object derived from a series takes over from it. */
export interface SourceFacts {
  /** Patient, study and frame of reference. */
  attributes: DicomAttributes
  seriesUid: string
}

/**
 * The patient, study and frame of reference of a series, by its first slice.
 *
 * @throws {ImageError} if a UID that a derived object has to repeat is missing or no UID, slices disagree on it, or a
 *   text is longer than its element may hold
 */
export function sourceFacts(slices: readonly SeriesSlice[]): SourceFacts {
  const { dataSet } = slices[0]!.instance.file
  const instances = slices.map(({ instance }) => instance)
  for (const instance of instances) {
    checkUid('SOPClassUID', instance.sopClassUid)
    checkUid('SOPInstanceUID', instance.sopInstanceUid)
  }
  const always = Object.fromEntries(REPEATED.map((keyword) => [keyword, copied(slices[0]!, keyword)]))
  const known = KNOWN.filter((keyword) => dataSet.has(keyword))
  return {
    attributes: {
      ...always,
      ...Object.fromEntries(known.map((keyword) => [keyword, copied(slices[0]!, keyword)])),
      StudyInstanceUID: oneUid(instances, 'StudyInstanceUID', ({ studyUid }) => studyUid),
      FrameOfReferenceUID: oneUid(
        instances,
        'FrameOfReferenceUID',
        ({ frameOfReferenceUid }) => frameOfReferenceUid,
      ),
      ...lossiness(instances),
    },
    seriesUid: oneUid(instances, 'SeriesInstanceUID', ({ seriesUid }) => seriesUid),
  }
}

/** Type 2: written empty where nothing is known. */
const REPEATED = [
  'PatientName',
  'PatientID',
  'PatientBirthDate',
  'PatientSex',
  'StudyDate',
  'StudyTime',
  'StudyID',
  'AccessionNumber',
  'ReferringPhysicianName',
  'PositionReferenceIndicator',
] as const satisfies readonly Keyword[]

const KNOWN = ['PatientAge', 'StudyDescription', 'BodyPartExamined'] as const satisfies readonly Keyword[]

function copied({ instance, name }: SeriesSlice, keyword: Keyword): string {
  const value = instance.file.dataSet.string(keyword) ?? ''
  const limit = LIMITS[TAGS[keyword][1]] ?? LONGEST
  if (value.length <= limit) return value
  throw new ImageError(
    `${keyword} of ${name} has ${value.length} characters, and DICOM allows ${limit}.`,
    'correct it in the series, so that what is derived from it stays with its patient and study.',
  )
}

/** Of a person's name, three times 64 characters and what parts them. */
const LONGEST = 200

function oneUid(
  instances: readonly DicomInstance[],
  keyword: Keyword,
  uidOf: (instance: DicomInstance) => string | null,
): string {
  const uids = new Set(instances.map(uidOf))
  if (uids.size > 1)
    throw new ImageError(
      `The slices have ${uids.size} different values of ${keyword}.`,
      'give the slices of one series, taken in one frame of reference.',
    )
  const [uid] = uids as Set<string>
  checkUid(keyword, uid)
  return uid!
}

function checkUid(keyword: Keyword, uid: string | null | undefined): void {
  if (uid && /^[0-9.]{1,64}$/.test(uid)) return
  throw new ImageError(
    uid
      ? `${keyword} of the series is no UID: ${JSON.stringify(uid.slice(0, 64))}.`
      : `The series has no ${keyword}.`,
    'give the original files: without it, nothing derived from them can refer to them.',
  )
}

/** Once lossy, always lossy. */
function lossiness(instances: readonly DicomInstance[]): DicomAttributes {
  const lossy = instances.find(({ file }) => file.dataSet.string('LossyImageCompression') === '01')
  if (lossy === undefined) return { LossyImageCompression: '00' }
  const { dataSet } = lossy.file
  const [ratios, methods] = [
    dataSet.numbers('LossyImageCompressionRatio'),
    dataSet.strings('LossyImageCompressionMethod').map((method) => method.slice(0, 16)),
  ]
  return {
    LossyImageCompression: '01',
    ...(ratios.length > 0 && ratios.length === methods.length
      ? { LossyImageCompressionRatio: ratios, LossyImageCompressionMethod: methods }
      : {}),
  }
}
