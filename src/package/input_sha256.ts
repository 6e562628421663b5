import { isDicom } from '../imaging/dicom/signature.ts'
import { joinedSha256, sha256 } from '../storage/local.ts'

/** Bytes from a file's start that tell whether it is DICOM. */
export const START_BYTES = 2048

/**
 * What results and certificates call a case by: the SHA-256 of its file, or that of its files' hashes, a line each. The
 * instances of a DICOM series are sorted by hash, as files may be renamed and their headers say their order. Channels
 * stay in the order given: another order is another input.
 */
export function inputSha256(files: readonly Uint8Array[]): string {
  return joinInputSha256(files.map(sha256), files[0]!)
}

/**
 * The same of files whose hashes are known.
 *
 * @param start first bytes of the first file, `START_BYTES` where it has as many
 */
export function joinInputSha256(hashes: readonly string[], start: Uint8Array): string {
  return joinedSha256(hashes.length > 1 && isDicom(start) ? [...hashes].sort() : hashes)
}
