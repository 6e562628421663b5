import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../schema/errors.ts'
import { inParallel } from '../storage/in_parallel.ts'
import { type FileStamp, makeFolder, readTextIfExists, stampFile, writeAtomic } from '../storage/local.ts'
import { DicomHeader, type FileHeader, readFileHeader } from './dicom_header.ts'
import { walkFolder } from './folder_walk.ts'
import type { PrivateFolder } from './private_folder.ts'

export interface DicomTree {
  /** In the order of their paths, which are relative to the root. */
  files: { path: string; header: DicomHeader }[]
  /** Files of other kinds, directories of DICOM media among them. */
  numOther: number
  unreadable: { file: string; reason: string }[]
}

const READ_AT_ONCE = 16

/**
 * Every DICOM file below a folder, told by what is in it; no pixel is read. Headers are remembered in
 * `dicom_headers.jsonl` of the private folder by path, size and modification time.
 */
export async function readDicomTree(
  root: string,
  options: { privateFolder?: PrivateFolder | undefined; signal?: AbortSignal | undefined } = {},
): Promise<DicomTree> {
  const { images, others, unreadable } = await walkFolder(root)
  const memory = await HeaderMemory.open(options.privateFolder)
  const paths = [...images, ...others].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const found = await inParallel(paths, READ_AT_ONCE, (path) => {
    options.signal?.throwIfAborted()
    return memory.read(join(root, path))
  })
  await memory.save()
  const tree: DicomTree = { files: [], numOther: 0, unreadable: [...unreadable] }
  for (const [i, one] of found.entries()) {
    const path = paths[i]!
    if ('reason' in one) tree.unreadable.push({ file: path, reason: one.reason })
    else if (one.header === null) tree.numOther++
    else tree.files.push({ path, header: one.header })
  }
  return tree
}

const Remembered = z.strictObject({
  path: z.string().describe('Absolute.'),
  size: z.int().min(0),
  mtime_ns: z.string(),
  header: DicomHeader.nullable().describe('null: it is not DICOM.'),
})
type Remembered = z.infer<typeof Remembered>

class HeaderMemory {
  readonly #folder: PrivateFolder | undefined
  readonly #known: Map<string, Remembered>
  #hasNew = false

  private constructor(folder: PrivateFolder | undefined, known: Map<string, Remembered>) {
    this.#folder = folder
    this.#known = known
  }

  static async open(folder: PrivateFolder | undefined): Promise<HeaderMemory> {
    const known = new Map<string, Remembered>()
    const text = folder === undefined ? null : await readTextIfExists(fileIn(folder))
    for (const line of (text ?? '').split('\n')) {
      if (line === '') continue
      try {
        const one = Remembered.parse(JSON.parse(line))
        known.set(one.path, one)
      } catch {} // a line that cannot be read costs one more reading of its file
    }
    return new HeaderMemory(folder, known)
  }

  async read(path: string): Promise<FileHeader> {
    let stamp: FileStamp | null
    try {
      stamp = await stampFile(path)
      if (stamp === null) return { reason: 'The file is gone. Restore it, or run the same command again.' }
      const known = this.#known.get(path)
      if (known?.size === stamp.size && known.mtime_ns === stamp.mtime_ns) return { header: known.header }
      const found = await readFileHeader(path, stamp.size)
      // What could not be read is tried again.
      if ('header' in found) {
        this.#known.set(path, { path, ...stamp, header: found.header })
        this.#hasNew = true
      }
      return found
    } catch (error) {
      if (error instanceof UserError) return { reason: error.message }
      throw error
    }
  }

  async save(): Promise<void> {
    if (!this.#hasNew || !this.#folder?.mayWrite) return
    await makeFolder(this.#folder.path, { isPrivate: true })
    const text = [...this.#known.values()].map((one) => `${JSON.stringify(one)}\n`).join('')
    await writeAtomic(fileIn(this.#folder), text, { isPrivate: true })
  }
}

const fileIn = (folder: PrivateFolder) => join(folder.path, 'dicom_headers.jsonl')
