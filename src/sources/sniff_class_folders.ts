import { basename, join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { isSplitInFolders } from './folder.ts'
import type { FolderContents } from './folder_walk.ts'
import { partNamed } from './part_names.ts'
import { type Draft, RANDOM_SPLIT, type SourceDraft } from './sniff_draft.ts'
import { type ClassGuess, guessClasses } from './sniff_labels.ts'
import { describePatients, guessPatientPattern } from './sniff_patients.ts'
import { count, firstFew } from './source_data.ts'

/**
 * A draft for images in a folder a class.
 *
 * @throws {UserError} with a template of a table when there are no classes
 */
export function sniffClassFolders(folder: string, contents: FolderContents): Draft {
  // An unpacked archive often holds one folder, which holds everything.
  const { root, images } = enterSingleFolders(folder, contents.images)
  const hasParts = isSplitInFolders(images)
  const depth = hasParts ? 2 : 1
  const counts = new Map<string, number>()
  for (const path of images) {
    const folders = path.split('/').slice(0, -1)
    const name = folders[depth - 1]
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size < 2) throw new UserError(withoutLabels(root, images))
  if (counts.size > 100)
    throw new UserError(
      `${folder} holds ${counts.size} folders of images: too many for classes, so they may be patients, and nothing says what the images show.\n${TABLE_ADVICE(images)}`,
    )
  const guess = guessFolders([...counts.keys()].sort())
  const patients = guessPatientPattern(images, depth)
  const source: SourceDraft = {
    kind: 'folder',
    ...(patients ? { patient: patients.pattern } : {}),
    ...(guess.negative.length > 0 ? { negative: guess.negative } : {}),
  }
  const found = [
    `class folders${hasParts ? ' in part folders' : ''}: ${[...counts].map(([name, n]) => `${name} (${n})`).join(', ')}`,
    guess.why,
  ]
  const unsure: string[] = []
  if (patients)
    unsure.push(
      `patients were guessed from ${patients.why}: ${describePatients(patients, images.length)}; check data.source.patient`,
    )
  else
    unsure.push(
      'no patient id was recognised in the paths, so every image counts as its own patient; if they carry one, write an expression for it in data.source.patient',
    )
  if (root !== folder) found.unshift(`everything lies in ${basename(root)}/`)
  return {
    root,
    source,
    split: hasParts && coversTraining(images) ? { official: true } : { ...RANDOM_SPLIT },
    labels: guess.labels,
    exclusive: guess.exclusive,
    found,
    unsure,
  }
}

/** As for a table, but a folder named like 'unknown' is a class: folders have no masked labels. */
function guessFolders(names: readonly string[]): ClassGuess {
  const guess = guessClasses(names)
  if (guess.unknown.length === 0) return guess
  const why = `${names.length} classes that exclude each other, ${firstFew(guess.unknown)} among them`
  return { labels: [...names], negative: [], unknown: [], exclusive: true, why }
}

function coversTraining(images: readonly string[]): boolean {
  return images.some((path) => partNamed(path.slice(0, path.indexOf('/'))) === 'train')
}

function enterSingleFolders(folder: string, images: readonly string[]): { root: string; images: string[] } {
  const first = images[0]!.split('/')[0]!
  const holdsAll = images.every((path) => path.startsWith(`${first}/`))
  const hasFoldersBelow = images.some((path) => path.split('/').length > 2)
  if (!holdsAll || !hasFoldersBelow) return { root: folder, images: [...images] }
  return enterSingleFolders(
    join(folder, first),
    images.map((path) => path.slice(first.length + 1)),
  )
}

function withoutLabels(root: string, images: readonly string[]): string {
  return `${root} holds ${count(images.length, 'image')} but nothing says what they show: there is neither a table nor a folder a class.\n${TABLE_ADVICE(images)}`
}

const TABLE_ADVICE = (images: readonly string[]) =>
  '  do: sort the images into a folder a class, such as normal/ and pneumonia/,\n' +
  '      or write a table beside them, labels.csv, and run this again:\n' +
  '        file,patient_id,label\n' +
  images
    .slice(0, 2)
    .map((path) => `        ${JSON.stringify(path).slice(1, -1)},<patient>,<class>\n`)
    .join('')
    .trimEnd()
