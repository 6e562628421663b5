import { crc32 } from 'node:zlib'
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl'
import { UserError } from '../schema/errors.ts'

export interface ZippedFile {
  /** As the archive says, never a place to write to. */
  name: string
  bytes: Uint8Array
}

export interface UnzipLimits {
  /** Of all files together, inflated. */
  bytes: number
  files: number
}

/** Medical images shrink to a third, seldom to a twentieth; what shrinks more was made to burst. */
const MOST_RATIO = 100
/** A small archive of empty slices may shrink more. */
const RATIO_FREE_BYTES = 64e6

/**
 * The files of a zip archive, without folders and what desktops leave in archives. What the archive says of its sizes
 * is checked before anything is inflated, and what inflates to another size or checksum than said is refused.
 *
 * @throws {UserError} for archives that are damaged, encrypted, or hold more than `limits`
 */
export async function unzip(archive: Uint8Array, limits: UnzipLimits): Promise<ZippedFile[]> {
  const buffer = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength)
  try {
    // Names are not decoded there: yauzl would refuse a whole archive for a backslash in one of them.
    const zip = await fromBufferPromise(buffer, { lazyEntries: true, decodeStrings: false })
    const entries = await listEntries(zip, limits, archive.byteLength)
    const files: ZippedFile[] = []
    for (const { name, entry } of entries) files.push({ name, bytes: await inflate(zip, entry, name) })
    return files
  } catch (cause) {
    if (cause instanceof UserError) throw cause
    throw new UserError(
      `The zip archive is damaged or cut short: ${(cause as Error).message}.\n  do: zip the files again.`,
      { cause },
    )
  }
}

async function listEntries(
  zip: ZipFile,
  limits: UnzipLimits,
  archiveBytes: number,
): Promise<{ name: string; entry: Entry }[]> {
  if (zip.entryCount > limits.files)
    throw new UserError(`The zip archive holds ${zip.entryCount} files; at most ${limits.files} are read.`)
  const kept: { name: string; entry: Entry }[] = []
  let total = 0
  for await (const entry of zip.eachEntry()) {
    const name = nameOf(entry)
    if (name.endsWith('/') || isLeftover(name)) continue
    if (entry.isEncrypted())
      throw new UserError('The zip archive is encrypted.\n  do: zip the files without a password.')
    if (!entry.canDecodeFileData())
      throw new UserError(
        `The zip archive is compressed by method ${entry.compressionMethod}.\n  do: zip with "deflate", which every tool can.`,
      )
    total += entry.uncompressedSize
    kept.push({ name, entry })
  }
  if (total > limits.bytes || total > Math.max(RATIO_FREE_BYTES, MOST_RATIO * archiveBytes))
    throw new UserError(
      `The zip archive of ${megabytes(archiveBytes)} claims to hold ${megabytes(total)}; at most ` +
        `${megabytes(Math.min(limits.bytes, Math.max(RATIO_FREE_BYTES, MOST_RATIO * archiveBytes)))} are read.`,
    )
  return kept
}

async function inflate(zip: ZipFile, entry: Entry, name: string): Promise<Uint8Array> {
  const stream = await zip.openReadStreamPromise(entry)
  const bytes = new Uint8Array(entry.uncompressedSize)
  let at = 0
  // yauzl ends the stream with an error once more comes than the entry says, before it is handed on.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  if (at !== bytes.length || crc32(bytes) !== entry.crc32)
    throw new UserError(`A file of the zip archive is damaged: ${name}.\n  do: zip the files again.`)
  return bytes
}

const nameOf = ({ fileName }: Entry) =>
  new TextDecoder().decode(fileName as unknown as Buffer).replaceAll('\\', '/')

/** What macOS and Windows add, and the table of contents of a DICOM medium. */
function isLeftover(name: string): boolean {
  const parts = name.split('/')
  const last = parts.at(-1)!
  return parts.includes('__MACOSX') || last.startsWith('.') || ['Thumbs.db', 'DICOMDIR'].includes(last)
}

const megabytes = (bytes: number) => `${Number((bytes / 1e6).toPrecision(3))} MB`
