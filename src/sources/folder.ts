import { isImageName, isVolumeName } from '../imaging/image_names.ts'
import type { Case, Labels, SplitPart } from '../schema/case.ts'
import type { FolderSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import { defaultCaseIds } from './case_ids.ts'
import { walkFolder } from './folder_walk.ts'
import { unreadFormat } from './image_files.ts'
import { partNamed } from './part_names.ts'
import { patientPattern } from './patient_pattern.ts'
import { count, firstFew, type SourceData, type SourceRequest } from './source_data.ts'

/**
 * Class folders of images or volumes, at any depth below the class: `pneumonia/a.png`, `normal/p7/b.png`; or the same inside
 * train/, val/ and test/, which is then the given split. A class folder named in `negative` holds none of the
 * labels. Cases are in the order of their sorted paths.
 */
export async function readFolder(
  source: FolderSource,
  { task, root, isOfVolumes }: SourceRequest,
): Promise<SourceData> {
  const { images, others, unreadable } = await walkFolder(root, isOfVolumes ? isVolumeName : isImageName)
  const warnings: string[] = []
  if (images.length === 0) throw new UserError(isOfVolumes ? noVolumes(root, others) : noImages(root, others))
  if (others.length > 0)
    warnings.push(
      `${count(others.length, 'file')} in ${root} ${others.length === 1 ? 'is' : 'are'} not ${isOfVolumes ? 'volumes' : 'images'} by name and ${others.length === 1 ? 'is' : 'are'} left alone: ${firstFew(others)}.`,
    )

  const hasParts = isSplitInFolders(images)
  const placed = images.map((path): { path: string; part?: SplitPart; name: string | undefined } => {
    const folders = path.split('/').slice(0, -1)
    const part = hasParts ? partNamed(folders.shift()!) : undefined
    return { path, ...(part ? { part } : {}), name: folders[0] }
  })
  const loose = placed.filter(({ name }) => name === undefined)
  if (loose.length === placed.length)
    throw new UserError(
      `${root} holds ${count(images.length, 'image')} but no class folders, so nothing says what they show.\n` +
        '  do: sort them into a folder a class, or describe them in a table (data.source.kind: csv).',
    )
  if (loose.length > 0)
    warnings.push(
      `${count(loose.length, 'image')} ${loose.length === 1 ? 'lies' : 'lie'} in no class folder and ${loose.length === 1 ? 'is' : 'are'} left out: ${firstFew(loose.map(({ path }) => path))}.`,
    )
  const inClass = placed.filter((image) => image.name !== undefined)
  assertClasses(
    source,
    task.labels,
    inClass.map(({ name }) => name!),
  )

  const paths = inClass.map(({ path }) => path)
  if (source.patient === null) warnings.push(NO_PATTERN)
  const patients =
    source.patient === null ? [] : patientPattern(source.patient, paths, 'data.source.patient', warnings)
  const ids = defaultCaseIds(paths, warnings)
  const cases = inClass.map(({ path, part, name }, i): Case => {
    const labels: Labels = Object.fromEntries(task.labels.map((label) => [label, label === name ? 1 : 0]))
    return {
      case_id: ids[i]!,
      patient_id: patients[i] ?? ids[i]!,
      images: [path],
      labels,
      attributes: {},
      ...(part ? { split: part } : {}),
    }
  })
  return {
    cases,
    labels: [...task.labels],
    warnings,
    has_given_split: hasParts,
    synthetic: false,
    skipped: unreadable,
  }
}

/** True when every image lies in a folder named like a part, and at least one class folder lies between. */
export function isSplitInFolders(images: readonly string[]): boolean {
  return images.every((path) => {
    const folders = path.split('/').slice(0, -1)
    return folders.length >= 2 && partNamed(folders[0]!) !== undefined
  })
}

/** Why a folder holds no image that can be read, naming what it holds instead. */
export function noImages(root: string, others: readonly string[]): string {
  const formats = new Map<string, number>()
  for (const file of others) {
    const format = unreadFormat(file)
    if (format) formats.set(format, (formats.get(format) ?? 0) + 1)
  }
  if (formats.size > 0)
    return (
      `${root} holds ${[...formats].map(([format, n]) => `${count(n, 'file')} in ${format} format`).join(' and ')}, which are not read as single images.\n` +
      '  read are: PNG, JPEG, TIFF and WebP\n  do: export the images in one of these formats (PNG or TIFF keep 16 bits).' +
      (formats.has('NIfTI')
        ? '\n      Volumes in class folders or a table need a recipe of volumes: prepare: { kind: volume, size: [z, y, x] }.' +
          "\n      For volumes with masks name the folder that holds dataset.json and imagesTr, in the Decathlon's or nnU-Net's layout."
        : '')
    )
  return `${root} holds no image${others.length > 0 ? `; of ${count(others.length, 'file')} none ends in .png, .jpg, .jpeg, .tif, .tiff or .webp` : ''}.\n  do: check data.root.`
}

const noVolumes = (root: string, others: readonly string[]) =>
  `${root} holds no NIfTI volume${others.length > 0 ? `; of ${count(others.length, 'file')} none ends in .nii or .nii.gz` : ''}.\n  do: check data.root.`

function assertClasses(source: FolderSource, labels: readonly string[], names: readonly string[]): void {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const unmapped = [...counts].filter(([name]) => !labels.includes(name) && !source.negative.includes(name))
  const absent = labels.filter((label) => !counts.has(label))
  if (unmapped.length > 0) {
    const shown = unmapped.slice(0, 20).map(([name, n]) => {
      const near = nearest(name, [...absent, ...source.negative])
      const where = near !== undefined && absent.includes(near) ? 'task.labels' : 'data.source.negative'
      return `    ${JSON.stringify(name)}  ${count(n, 'image')}${near ? `; ${where} has "${near}": spell them alike if they mean the same` : ''}`
    })
    throw new UserError(
      `${count(unmapped.length, 'class folder')} ${unmapped.length === 1 ? 'is' : 'are'} neither in task.labels (${labels.join(', ')}) nor in data.source.negative:\n${shown.join('\n')}\n` +
        '  do: say what each of these folders means, for it is not guessed:\n' +
        '      a finding or class to learn: add it to task.labels;\n' +
        '      certainly none of the labels: add it to data.source.negative, and only then: it is learnt as their absence.',
    )
  }
  if (absent.length > 0)
    throw new UserError(
      `No class folder is named ${absent.map((l) => `"${l}"`).join(' or ')}; found ${firstFew([...counts.keys()], 20)}.\n  do: name the class folders in task.labels and data.source.negative.`,
    )
}

const NO_PATTERN =
  "No patient pattern is given (data.source.patient), so every image is its own patient: images of one patient may land on both sides of the split and flatter the result. If file names or folders carry patient ids, write a regular expression such as '(patient\\d+)'."
