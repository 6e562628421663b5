import { ImageError } from '../image_error.ts'

/** How a file's data set and pixels are encoded. */
export interface TransferSyntax {
  name: string
  vr: 'explicit' | 'implicit'
  byteOrder: 'little-endian' | 'big-endian'
  /** The whole data set is deflated. */
  isDeflated: boolean
  /** Of encapsulated pixels; null where they lie as they are. */
  codec: CodecName | null
  /** Decoders may differ by a few grey levels. */
  isLossy: boolean
}

export type CodecName = 'rle' | 'deflated_frame' | 'jpeg' | 'jpeg_ls' | 'jpeg_2000'

const NATIVE: Omit<TransferSyntax, 'name'> = {
  vr: 'explicit',
  byteOrder: 'little-endian',
  isDeflated: false,
  codec: null,
  isLossy: false,
}

export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'

/** Every transfer syntax that is read. @see DICOM PS3.6, table A-1 */
export const TRANSFER_SYNTAXES = {
  '1.2.840.10008.1.2': { ...NATIVE, name: 'Implicit VR Little Endian', vr: 'implicit' },
  [EXPLICIT_LITTLE_ENDIAN]: { ...NATIVE, name: 'Explicit VR Little Endian' },
  '1.2.840.10008.1.2.1.99': { ...NATIVE, name: 'Deflated Explicit VR Little Endian', isDeflated: true },
  '1.2.840.10008.1.2.2': { ...NATIVE, name: 'Explicit VR Big Endian', byteOrder: 'big-endian' },
  '1.2.840.10008.1.2.5': { ...NATIVE, name: 'RLE Lossless', codec: 'rle' },
  '1.2.840.10008.1.2.8.1': { ...NATIVE, name: 'Deflated Image Frame Compression', codec: 'deflated_frame' },
  '1.2.840.10008.1.2.4.50': { ...NATIVE, name: 'JPEG Baseline', codec: 'jpeg', isLossy: true },
  '1.2.840.10008.1.2.4.51': { ...NATIVE, name: 'JPEG Extended', codec: 'jpeg', isLossy: true },
  '1.2.840.10008.1.2.4.57': { ...NATIVE, name: 'JPEG Lossless, Process 14', codec: 'jpeg' },
  '1.2.840.10008.1.2.4.70': { ...NATIVE, name: 'JPEG Lossless, Process 14, first order', codec: 'jpeg' },
  '1.2.840.10008.1.2.4.80': { ...NATIVE, name: 'JPEG-LS Lossless', codec: 'jpeg_ls' },
  '1.2.840.10008.1.2.4.81': { ...NATIVE, name: 'JPEG-LS Near-Lossless', codec: 'jpeg_ls', isLossy: true },
  '1.2.840.10008.1.2.4.90': { ...NATIVE, name: 'JPEG 2000 Lossless', codec: 'jpeg_2000' },
  '1.2.840.10008.1.2.4.91': { ...NATIVE, name: 'JPEG 2000', codec: 'jpeg_2000', isLossy: true },
  '1.2.840.10008.1.2.4.201': { ...NATIVE, name: 'HTJ2K Lossless', codec: 'jpeg_2000' },
  '1.2.840.10008.1.2.4.202': { ...NATIVE, name: 'HTJ2K Lossless, RPCL', codec: 'jpeg_2000' },
  '1.2.840.10008.1.2.4.203': { ...NATIVE, name: 'HTJ2K', codec: 'jpeg_2000', isLossy: true },
} as const satisfies Record<string, TransferSyntax>

/** @throws {ImageError} if files of that syntax are not read */
export function transferSyntax(uid: string): TransferSyntax {
  if (Object.hasOwn(TRANSFER_SYNTAXES, uid)) return TRANSFER_SYNTAXES[uid as keyof typeof TRANSFER_SYNTAXES]
  throw new ImageError(
    `The DICOM transfer syntax ${JSON.stringify(uid.slice(0, 64))} is not read.`,
    'convert the file to Explicit VR Little Endian, for example with "dcmconv +te" or "gdcmconv --raw".',
  )
}
