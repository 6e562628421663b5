import { ImageError } from '../../image_error.ts'

/** For codestreams: what is wrong with one, in one sentence. */
export function damaged(codec: string, what: string, options?: ErrorOptions): ImageError {
  return new ImageError(
    `The ${codec} frame in the DICOM file cannot be decoded: ${what}.`,
    'copy or download the file again; if other programs open it, export it uncompressed.',
    options,
  )
}

/** A codestream of another size than the header's is refused before anything is allocated for it. */
export function checkSize(
  codec: string,
  expected: { rows: number; columns: number; samples: number },
  found: { rows: number; columns: number; samples: number },
): void {
  const isEqual =
    found.rows === expected.rows && found.columns === expected.columns && found.samples === expected.samples
  if (!isEqual)
    throw damaged(
      codec,
      `it is ${found.rows}×${found.columns}×${found.samples}, but the header says ` +
        `${expected.rows}×${expected.columns}×${expected.samples} (rows × columns × samples)`,
    )
  if (found.rows * found.columns * found.samples > MAX_FRAME_SAMPLES)
    throw damaged(codec, `it has more samples than the limit of 2^26 = ${MAX_FRAME_SAMPLES} a frame`)
}

/** Of a compressed frame: three times the largest mammogram, and what decoders can hold four times over. */
const MAX_FRAME_SAMPLES = 2 ** 26
