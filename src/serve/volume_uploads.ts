import type { VolumeFiles } from '../package/segment_case.ts'
import { casesOfFiles, isCaseFile, seriesOf, type Takes, type VolumeFile } from '../package/volume_cases.ts'
import { UserError } from '../schema/errors.ts'
import type { PredictResult } from '../schema/results.ts'
import { type UnzipLimits, unzip } from './unzip.ts'
import { displayName, type Upload } from './uploads.ts'

/**
 * The cases in what was uploaded: volumes as they are, and those in zip archives, grouped as `predict` groups the files
 * of a folder. Archives that cannot be read are listed in `failed`.
 */
export async function volumeUploads(
  uploads: readonly Upload[],
  takes: Takes,
  limits: UnzipLimits,
): Promise<{ cases: VolumeFiles[]; failed: PredictResult['failed'] }> {
  const failed: PredictResult['failed'] = []
  const files = new Map<string, Uint8Array>()
  const roots = new Map<string, string>()
  const add = (path: string, bytes: Uint8Array, root?: string) => {
    let name = path
    for (let n = 2; files.has(name); n++) name = `${n}/${path}`
    files.set(name, bytes)
    if (root !== undefined) roots.set(name, root)
  }
  for (const { name, bytes } of uploads) {
    if (!isZip(bytes)) add(name, bytes)
    else
      try {
        for (const one of await zippedVolumes(bytes, takes, limits))
          add(`${name.replace(/\.zip$/i, '')}/${one.name}`, one.bytes, name)
      } catch (cause) {
        if (!(cause instanceof UserError)) throw cause
        failed.push({ file: name, reason: cause.message })
      }
  }
  const named = [...files].map(([path, start]): VolumeFile => {
    const series = seriesOf(start)
    return { path, start, series, ...(roots.has(path) && { root: roots.get(path)! }) }
  })
  const cases: VolumeFiles[] = []
  for (const [i, { case_id, name, files: members, problem }] of casesOfFiles(named, takes).entries()) {
    const shown = displayName(name === '.' ? 'series' : name, i + 1)
    if (problem !== undefined) failed.push({ file: shown, reason: problem })
    else
      cases.push({
        case_id: displayName(case_id === '.' ? 'series' : case_id, i + 1),
        name: shown,
        files: members.map((member) => files.get(member)!),
      })
  }
  return { cases, failed }
}

async function zippedVolumes(archive: Uint8Array, takes: Takes, limits: UnzipLimits) {
  const found = await unzip(archive, limits)
  const volumes = found.filter(({ name, bytes }) => isCaseFile({ path: name, start: bytes }, takes))
  if (volumes.length > 0) return volumes
  throw new UserError(
    takes.distance_unit === 'px'
      ? 'The zip archive holds no image.\n  do: zip PNG, JPEG, TIFF or WebP files: the model takes 2D images.'
      : 'The zip archive holds no volume.\n  do: zip NIfTI files (.nii, .nii.gz) or the DICOM files of a series.',
  )
}

/** The start of a first entry, or the end of an archive without any. */
const isZip = ([p, k, a, b]: Uint8Array) =>
  p === 0x50 && k === 0x4b && ((a === 3 && b === 4) || (a === 5 && b === 6))
