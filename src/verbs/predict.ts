import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isDicom } from '../imaging/dicom/signature.ts'
import { isImageName, withoutExtension } from '../imaging/image_names.ts'
import { withDistinctIds } from '../package/distinct_ids.ts'
import { type LoadOptions, loadPackage } from '../package/load.ts'
import { type InputCase, predictFiles } from '../package/predict_files.ts'
import { isSegmentPackage, readAnyManifest } from '../package/read.ts'
import { findPackage } from '../runs/find.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { PredictResult } from '../schema/results.ts'
import { GARBLED, isGarbled, walkFolder } from '../sources/folder_walk.ts'
import { csvText } from '../storage/csv.ts'
import { inParallel } from '../storage/in_parallel.ts'
import { explain, readBytes, readStart, writeAtomic } from '../storage/local.ts'
import type { Io } from './io.ts'

export interface PredictOptions extends LoadOptions {
  /** Folder that predictions.json and predictions.csv (and failed.csv) are written to. */
  out?: string
  /** Cases a run of the network; unless given 8 images, or 1 volume. */
  batch?: number
}

const MAX_FILE_BYTES = 1 << 30
type NamedCase = InputCase & { case_id: string }

/**
 * Scores image files, and the images of folders and the folders in them, in the order given; a folder's in the order
 * of their paths. Of a package of volumes NIfTI files and the DICOM series of folders. Needs no Python. A case that cannot
 * be read is listed in `failed` and stops nothing.
 *
 * @throws {UserError} when the package cannot be used, or no path names anything, or there is no image at all
 */
export async function predict(
  packageDir: string,
  paths: readonly string[],
  options: PredictOptions,
  io: Io,
): Promise<PredictResult> {
  const dir = await findPackage(packageDir)
  const { model: manifest } = await readAnyManifest(dir)
  if (isSegmentPackage(manifest)) return predictMasks(dir, paths, options, io)
  const { preprocess } = manifest
  const files = preprocess.kind === 'image' ? await findImages(paths) : await findVolumes(paths, preprocess)
  const loaded = await loadPackage(dir, options)
  try {
    for (const warning of loaded.warnings) io.log(`warning: ${warning}`)
    const result: PredictResult = { predictions: [], failed: [], package_digest: loaded.digest }
    const { batch } = options
    const settings = { ...(batch !== undefined && { batch }), signal: io.signal }
    for await (const one of predictFiles(files, loaded, settings)) {
      if ('reason' in one) result.failed.push(one)
      else result.predictions.push(one)
      const done = result.predictions.length + result.failed.length
      if (done % 500 === 0) io.log(`${done} of ${files.length} ${preprocess.kind}s`)
    }
    if (io.signal.aborted)
      throw new StoppedError('Stopped; nothing was written. The same command starts over.')
    if (options.out !== undefined) {
      await writeAtomic(join(options.out, 'predictions.json'), `${JSON.stringify(result, null, 2)}\n`)
      await writeAtomic(
        join(options.out, 'predictions.csv'),
        predictionsCsv(result, loaded.model.task.labels),
      )
      if (result.failed.length > 0) await writeAtomic(join(options.out, 'failed.csv'), failedCsv(result))
      io.log(`wrote ${join(options.out, 'predictions.csv')} and predictions.json`)
    }
    return result
  } finally {
    await loaded.close()
  }
}

async function predictMasks(
  dir: string,
  paths: readonly string[],
  options: PredictOptions,
  io: Io,
): Promise<PredictResult> {
  const { loadSegmenter } = await import('../package/load_segmenter.ts')
  const { predictVolumes } = await import('./predict_volumes.ts')
  const loaded = await loadSegmenter(dir, options)
  try {
    for (const warning of loaded.warnings) io.log(`warning: ${warning}`)
    return await predictVolumes(loaded, paths, options.out, io)
  } finally {
    await loaded.close()
  }
}

/**
 * Files as named; of folders every image by its extension and every DICOM file by its first bytes, hidden ones left out.
 *
 * @throws {UserError} when no path names anything, or no image is found
 */
export async function findImages(paths: readonly string[]): Promise<InputCase[]> {
  const files: NamedCase[] = []
  const missing: unknown[] = []
  for (const path of paths) {
    const info = await stat(path).catch((cause) => {
      missing.push(explainName(cause, path))
    })
    // What is not there fails when it is read, and is listed with the reason.
    if (!info?.isDirectory()) {
      files.push(inputFile(path, caseIdOf(path)))
      continue
    }
    const { images, others, unreadable } = await walkFolder(path)
    const dicom = await dicomAmong(path, others)
    const lost = unreadable.map(({ file }) => file).filter((name) => isImageName(name) || isGarbled(name))
    for (const name of [...images, ...dicom, ...lost].sort())
      files.push(inputFile(join(path, name), caseIdOf(name)))
  }
  if (files.length > 0 && files.length === missing.length) throw missing[0]
  if (files.length > 0) return withDistinctIds(files, '/')
  throw new UserError(
    `No image in ${paths.join(', ')}.\n  do: name files, or folders that hold .png, .jpg, .tif, .webp or DICOM files.`,
  )
}

/** The cases that paths name, as `predictVolumes` finds them. */
async function findVolumes(paths: readonly string[], takes: VolumeSpec): Promise<InputCase[]> {
  const { volumeInputs } = await import('./volume_inputs.ts')
  return (await volumeInputs(paths, takes)).map(({ name, case_id, files, problem }) => ({
    name,
    case_id,
    async read() {
      if (problem !== undefined) throw new UserError(problem)
      const bytes: Uint8Array[] = []
      for (const file of files) bytes.push(await readBytes(file))
      return bytes
    },
  }))
}

const caseIdOf = (path: string) => withoutExtension(path).replace(/(?<=[^/])\.dcm$/i, '')

/** DICOM files may have any name: those of media have no extension. A directory of such a medium is no image. */
async function dicomAmong(folder: string, names: readonly string[]): Promise<string[]> {
  const found = await inParallel(names, 16, async (name) => {
    if (basename(name).toUpperCase() === 'DICOMDIR') return false
    const start = await readStart(join(folder, name), 256).catch((error) => {
      if (error instanceof UserError) return null
      throw error
    })
    return start !== null && isDicom(start)
  })
  return names.filter((_, i) => found[i])
}

function inputFile(path: string, case_id: string): NamedCase {
  return {
    name: path,
    case_id,
    async read() {
      try {
        const info = await stat(path)
        if (!info.isFile()) throw new UserError('It is no regular file.')
        if (info.size > MAX_FILE_BYTES)
          throw new UserError(`The file has ${info.size} bytes; at most ${MAX_FILE_BYTES} are read.`)
        return [await readFile(path)]
      } catch (cause) {
        throw explainName(cause, path)
      }
    },
  }
}

function explainName(cause: unknown, path: string): unknown {
  const isAbsent = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  return isAbsent && isGarbled(path) ? new UserError(GARBLED, { cause }) : explain(cause, path)
}

/** `case_id` and a score column a label first: "fiducial evaluate --predictions" reads it as it is. */
function predictionsCsv(result: PredictResult, labels: readonly string[]): string {
  const header = [
    'case_id',
    ...labels,
    ...labels.map((l) => `decision: ${l}`),
    'file',
    'input_sha256',
    'warnings',
  ]
  const rows = result.predictions.map((p) => [
    p.case_id,
    ...labels.map((label) => p.scores[label]!),
    ...labels.map((label) => (p.decisions[label] === undefined ? '' : Number(p.decisions[label]))),
    p.file,
    p.input_sha256,
    p.warnings.join(' '),
  ])
  return csvText([header, ...rows])
}

function failedCsv(result: PredictResult): string {
  return csvText([['file', 'reason'], ...result.failed.map((f) => [f.file, f.reason])])
}
