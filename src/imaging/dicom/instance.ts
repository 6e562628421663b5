import { ImageError } from '../image_error.ts'
import type { DataSet } from './data_set.ts'
import { type FrameFacts, frameFacts } from './functional_groups.ts'
import { type ModalityTransform, modalityTransform } from './modality.ts'
import { type DicomFile, parseDicom } from './parse.ts'
import { type PixelFormat, pixelFormat } from './pixel_format.ts'
import type { Keyword } from './tags.ts'
import { type Voi, vois } from './voi.ts'

/** What one DICOM file says of itself. Identifiers and numbers that are missing or empty are null. */
export interface DicomInstance {
  /** The file parsed, with its pixels undecoded. */
  file: DicomFile
  patientId: string | null
  studyUid: string | null
  seriesUid: string | null
  sopInstanceUid: string | null
  sopClassUid: string | null
  frameOfReferenceUid: string | null
  accessionNumber: string | null
  modality: string | null
  instanceNumber: number | null
  /** ORIGINAL or DERIVED, PRIMARY or SECONDARY, then what the modality adds: AXIAL, LOCALIZER. */
  imageType: string[]
  /** Whether the pixels show who the patient is, or other text, by the file's own word. */
  burnedInAnnotation: boolean | null
  /** Null if the file holds no pixels: a report, a structure set. */
  image: ImageFacts | null
}

export interface ImageFacts extends PixelFormat {
  /** One a frame, or one for all frames where they have no facts of their own. */
  frames: FramePlace[]
}

/** Where a frame lies in the patient, and what its values mean. Lengths in mm; directions are DICOM's, LPS. */
export interface FramePlace {
  /** Centre of the first pixel: x, y, z. */
  position: readonly [number, number, number] | null
  /** Direction in which columns follow each other along a row, then that of rows along a column. */
  orientation: readonly [number, number, number, number, number, number] | null
  /** Between rows, between columns; null if the file says none, or 0. */
  spacing: readonly [y: number, x: number] | null
  /** PixelSpacing is in the patient (or calibrated); ImagerPixelSpacing is on the detector, magnified. */
  spacingFrom: 'PixelSpacing' | 'ImagerPixelSpacing' | null
  sliceThickness: number | null
  modality: ModalityTransform
  vois: Voi[]
}

/**
 * Reads a DICOM file's header: what it is, whose, and where it lies. No pixel is decoded.
 *
 * @throws {ImageError} if the file is no DICOM or damaged, or a number in its header is none
 */
export function readDicomInstance(bytes: Uint8Array): DicomInstance {
  return instanceOf(parseDicom(bytes))
}

/**
 * The same from the start of a file, at least up to where its pixel data begin: they are there and empty.
 *
 * @throws {ImageError} as `readDicomInstance` does, and mostly if `start` ends before the pixel data
 */
export function readDicomHeader(start: Uint8Array): DicomInstance {
  return instanceOf(parseDicom(start, { pixels: 'skipped' }))
}

function instanceOf(file: DicomFile): DicomInstance {
  const { dataSet } = file
  return {
    file,
    patientId: dataSet.string('PatientID'),
    studyUid: dataSet.string('StudyInstanceUID'),
    seriesUid: dataSet.string('SeriesInstanceUID'),
    sopInstanceUid: dataSet.string('SOPInstanceUID'),
    sopClassUid: dataSet.string('SOPClassUID'),
    frameOfReferenceUid: dataSet.string('FrameOfReferenceUID'),
    accessionNumber: dataSet.string('AccessionNumber'),
    modality: dataSet.string('Modality'),
    instanceNumber: dataSet.number('InstanceNumber'),
    imageType: dataSet.strings('ImageType'),
    burnedInAnnotation: BURNED_IN[dataSet.string('BurnedInAnnotation') ?? ''] ?? null,
    image: PIXELS.some((keyword) => dataSet.element(keyword) !== null) ? imageFacts(dataSet) : null,
  }
}

const BURNED_IN: Record<string, boolean> = { YES: true, NO: false }
const PIXELS = ['PixelData', 'FloatPixelData', 'DoubleFloatPixelData'] as const

function imageFacts(dataSet: DataSet): ImageFacts {
  const format = pixelFormat(dataSet)
  const facts = frameFacts(dataSet)
  if (facts.length > 1 && facts.length !== format.numFrames)
    throw new ImageError(
      `The DICOM header says ${format.numFrames} frames, but describes ${facts.length}.`,
      'the file is damaged or was written wrongly: export it again.',
    )
  return { ...format, frames: facts.map((frame) => framePlace(frame, format)) }
}

function framePlace(facts: FrameFacts, { isSigned }: PixelFormat): FramePlace {
  const measures = facts.group('PixelMeasuresSequence')
  const [spacingFrom, spacing] = spacingOf(measures)
  const modality = modalityTransform(facts.group('PixelValueTransformationSequence'), isSigned)
  return {
    position: tuple<3>(facts.group('PlanePositionSequence'), 'ImagePositionPatient', 3),
    orientation: tuple<6>(facts.group('PlaneOrientationSequence'), 'ImageOrientationPatient', 6),
    spacing,
    spacingFrom,
    sliceThickness: measures.number('SliceThickness'),
    modality,
    vois: vois(
      facts.group('FrameVOILUTSequence'),
      isSigned || (modality.kind === 'linear' && modality.intercept < 0),
    ),
  }
}

/** A spacing of 0 or below says no more than a missing one. */
function spacingOf(measures: DataSet): [FramePlace['spacingFrom'], FramePlace['spacing']] {
  for (const keyword of ['PixelSpacing', 'ImagerPixelSpacing'] as const) {
    const spacing = tuple<2>(measures, keyword, 2)
    if (spacing?.every((mm) => mm > 0)) return [keyword, spacing]
  }
  return [null, null]
}

interface Tuples {
  2: [number, number]
  3: [number, number, number]
  6: [number, number, number, number, number, number]
}

function tuple<N extends keyof Tuples>(dataSet: DataSet, keyword: Keyword, length: N): Tuples[N] | null {
  const values = dataSet.numbers(keyword)
  if (values.length === 0) return null
  if (values.length === length) return values as Tuples[N]
  throw new ImageError(
    `The DICOM element ${keyword} holds ${values.length} numbers, where ${length} belong.`,
    'the file is damaged or was written wrongly: export it again.',
  )
}
