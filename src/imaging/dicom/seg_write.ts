import type { Structure } from '../../schema/task.ts'
import { isSameGrid } from '../geometry/same_grid.ts'
import type { Volume } from '../volume.ts'
import { CODES, type Code, codeItem, plainText } from './code.ts'
import { packFrames } from './seg_frames.ts'
import { functionalGroups, instanceReference } from './seg_groups.ts'
import { sourceFacts } from './seg_source.ts'
import type { SeriesPlan } from './series.ts'
import { type DicomAttributes, writeDicom } from './write.ts'

export interface SegmentationContent {
  /** One value a voxel, on the grid of the series. */
  mask: Volume & { data: Uint8Array }
  /** One segment each, numbered from 1 in this order. */
  structures: readonly CodedStructure[]
  /** The series that was segmented. */
  series: Pick<SeriesPlan, 'slices' | 'shape' | 'affine'>
  /** What drew the mask; `digest` names its package. */
  model: { name: string; version: string; digest: string }
  /** Written in local time, as the dates of the study beside it are. */
  created: Date
  /** A UID that nothing else has, at each call. */
  newUid: () => string
}

/** Without codes, a structure is "Tissue" of the type that its own name says. */
export interface CodedStructure extends Structure {
  codes?: { category: Code; type: Code }
}

export const SEGMENTATION_STORAGE = '1.2.840.10008.5.1.4.1.1.66.4'

/**
 * A mask as a DICOM Segmentation: binary, a segment a structure, a frame for each slice in which a segment has voxels,
 * each pointing at the instance (and frame) it was drawn on. Segments may overlap. Where the mask is empty, one empty
 * frame stands.
 *
 * @throws {ImageError} if the series has not what a segmentation must repeat (see `sourceFacts`)
 * @throws {RangeError} if the mask does not lie on the grid of the series: that is the caller's mistake
 * @see DICOM PS3.3, A.51 and C.8.20
 */
export function writeSegmentation(content: SegmentationContent): Uint8Array {
  const { mask, structures, series, model, created, newUid } = content
  checkGrid(mask, series)
  const source = sourceFacts(series.slices)
  const { frames, bits, isOverlapping } = packFrames(
    mask.data,
    mask.shape,
    structures.map(({ values }) => values),
  )
  const [date, time] = dateAndTime(created)
  return writeDicom({
    ...source.attributes,
    SOPClassUID: SEGMENTATION_STORAGE,
    SOPInstanceUID: newUid(),
    SeriesInstanceUID: newUid(),
    Modality: 'SEG',
    SeriesNumber: SERIES_NUMBER,
    SeriesDescription: plainText(`Segmentation by ${model.name} ${model.version}`),
    SeriesDate: date,
    SeriesTime: time,
    InstanceNumber: 1,
    ContentDate: date,
    ContentTime: time,
    ContentLabel: 'SEGMENTATION',
    ContentDescription: plainText(structures.map(({ name }) => name).join(', ')),
    ContentCreatorName: '',
    Manufacturer: 'fiducial',
    ManufacturerModelName: plainText(model.name),
    SoftwareVersions: plainText(model.version),
    DeviceSerialNumber: plainText(model.digest),
    ImageType: ['DERIVED', 'PRIMARY'],
    BurnedInAnnotation: 'NO',
    ReferencedSeriesSequence: [
      { SeriesInstanceUID: source.seriesUid, ReferencedInstanceSequence: references(series) },
    ],
    SegmentationType: 'BINARY',
    SegmentsOverlap: isOverlapping ? 'YES' : 'NO',
    SegmentSequence: structures.map((structure, i) => segment(structure, i + 1, model)),
    ...functionalGroups(series, frames, newUid()),
    NumberOfFrames: frames.length,
    Rows: mask.shape[1],
    Columns: mask.shape[2],
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    BitsAllocated: 1,
    BitsStored: 1,
    HighBit: 0,
    PixelRepresentation: 0,
    PixelData: bits,
  })
}

/** A segmentation needs one, and it means nothing; scanners' own stay below. */
const SERIES_NUMBER = 9000

function checkGrid(mask: Volume, series: SegmentationContent['series']): void {
  if (mask.channels !== 1 || !isSameGrid(mask, series))
    throw new RangeError('the mask does not lie on the grid of the series')
}

function references({ slices }: SegmentationContent['series']): DicomAttributes[] {
  const first = new Map(slices.toReversed().map((slice) => [slice.instance.sopInstanceUid, slice]))
  return slices.filter((slice) => first.get(slice.instance.sopInstanceUid) === slice).map(instanceReference)
}

function segment(
  { name, codes }: CodedStructure,
  number: number,
  model: SegmentationContent['model'],
): DicomAttributes {
  const { category, type } = codes ?? { category: CODES.tissue, type: ownCode(name) }
  const algorithm = plainText(model.name)
  return {
    SegmentNumber: number,
    SegmentLabel: plainText(name),
    SegmentedPropertyCategoryCodeSequence: [codeItem(category)],
    SegmentedPropertyTypeCodeSequence: [codeItem(type)],
    SegmentAlgorithmType: 'AUTOMATIC',
    SegmentAlgorithmName: algorithm,
    SegmentationAlgorithmIdentificationSequence: [
      {
        AlgorithmFamilyCodeSequence: [codeItem(CODES.artificialIntelligence)],
        AlgorithmName: algorithm,
        AlgorithmVersion: plainText(model.version),
      },
    ],
  }
}

/** A name as a code of a private scheme (99…), whose values are the names themselves. */
function ownCode(name: string): Code {
  return { value: plainText(name), scheme: '99FIDUCIAL', meaning: name }
}

function dateAndTime(date: Date): [date: string, time: string] {
  const two = (value: number) => String(value).padStart(2, '0')
  return [
    `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`,
    `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`,
  ]
}
