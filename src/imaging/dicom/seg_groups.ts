import { CODES, codeItem } from './code.ts'
import type { SegmentFrame } from './seg_frames.ts'
import type { SeriesPlan, SeriesSlice } from './series.ts'
import { type Keyword, TAGS } from './tags.ts'
import type { DicomAttributes } from './write.ts'

/**
 * What frames of a segmentation have in common, what each has of its own, and the two dimensions that index them:
 * segment, then position along the normal.
 *
 * @param dimensionUid names the dimension organization
 * @see DICOM PS3.3, A.51.5 and C.7.6.17
 */
export function functionalGroups(
  { slices, affine }: SeriesPlan,
  frames: readonly SegmentFrame[],
  dimensionUid: string,
): DicomAttributes {
  const { orientation, spacing, sliceThickness } = slices[0]!.place
  const step = Math.hypot(affine[0]!, affine[4]!, affine[8]!)
  const rankOfSegment = ranks(frames.map(({ segment }) => segment))
  const rankOfSlice = ranks(frames.map(({ z }) => z))
  return {
    DimensionOrganizationSequence: [{ DimensionOrganizationUID: dimensionUid }],
    DimensionIndexSequence: [
      dimension(dimensionUid, 'ReferencedSegmentNumber', 'SegmentIdentificationSequence'),
      dimension(dimensionUid, 'ImagePositionPatient', 'PlanePositionSequence'),
    ],
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [
          {
            PixelSpacing: [...spacing],
            SliceThickness: sliceThickness !== null && sliceThickness > 0 ? sliceThickness : step,
            SpacingBetweenSlices: step,
          },
        ],
        PlaneOrientationSequence: [{ ImageOrientationPatient: [...orientation] }],
      },
    ],
    PerFrameFunctionalGroupsSequence: frames.map(({ segment, z }) => ({
      FrameContentSequence: [{ DimensionIndexValues: [rankOfSegment.get(segment)!, rankOfSlice.get(z)!] }],
      PlanePositionSequence: [{ ImagePositionPatient: [...slices[z]!.place.position] }],
      SegmentIdentificationSequence: [{ ReferencedSegmentNumber: segment }],
      DerivationImageSequence: [
        {
          DerivationCodeSequence: [codeItem(CODES.segmentation)],
          SourceImageSequence: [sourceImage(slices[z]!)],
        },
      ],
    })),
  }
}

/** Index values count from 1 among the values that occur. */
function ranks(values: readonly number[]): Map<number, number> {
  const sorted = [...new Set(values)].sort((a, b) => a - b)
  return new Map(sorted.map((value, i) => [value, i + 1]))
}

function dimension(uid: string, pointer: Keyword, group: Keyword): DicomAttributes {
  return {
    DimensionOrganizationUID: uid,
    DimensionIndexPointer: TAGS[pointer][0],
    FunctionalGroupPointer: TAGS[group][0],
    DimensionDescriptionLabel: pointer,
  }
}

function sourceImage(slice: SeriesSlice): DicomAttributes {
  return {
    ...instanceReference(slice),
    ...(slice.instance.image!.numFrames > 1 ? { ReferencedFrameNumber: slice.frame + 1 } : {}),
    SpatialLocationsPreserved: 'YES',
    PurposeOfReferenceCodeSequence: [codeItem(CODES.sourceImage)],
  }
}

/** The item that refers to the instance of a slice. */
export function instanceReference({ instance }: SeriesSlice): DicomAttributes {
  return {
    ReferencedSOPClassUID: instance.sopClassUid!,
    ReferencedSOPInstanceUID: instance.sopInstanceUid!,
  }
}
