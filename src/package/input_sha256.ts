import { sha256 } from '../storage/local.ts'

/** Of a case of one file its hash; of several the hash of their hashes, a line each, as `prepare` names its cases. */
export function inputSha256(files: readonly Uint8Array[]): string {
  return files.length === 1 ? sha256(files[0]!) : sha256OfHashes(files.map(sha256))
}

/** The same where the files' own hashes are known. */
export function sha256OfHashes(hashes: readonly string[]): string {
  return hashes.length === 1 ? hashes[0]! : sha256(hashes.map((one) => `${one}\n`).join(''))
}
