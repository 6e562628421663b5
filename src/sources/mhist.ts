import { join } from 'node:path'
import { withoutExtension } from '../imaging/image_names.ts'
import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { imageFinder, pathBelowRoot } from './image_files.ts'
import { readLabels } from './label_cells.ts'
import { partNamed } from './part_names.ts'
import { count, firstFew, type SourceData, type SourceOf, type SourceRequest } from './source_data.ts'
import { columnIndex, readTable } from './table.ts'

/** Hyperplastic polyp, sessile serrated adenoma (Wei et al., AIME 2021). */
export const MHIST_LABELS = ['HP', 'SSA'] as const
const COLUMNS = {
  image: 'Image Name',
  label: 'Majority Vote Label',
  votes: 'Number of Annotators who Selected SSA (Out of 7)',
  part: 'Partition',
}

/**
 * MHIST as downloaded: `annotations.csv` and `images/`. The label is the majority of seven annotators; how many
 * chose SSA is the attribute `ssa_votes`. The table names no patients.
 */
export async function readMhist(
  _source: SourceOf<'mhist'>,
  { task, root }: SourceRequest,
): Promise<SourceData> {
  const odd = task.labels.filter((label) => !MHIST_LABELS.some((known) => known === label))
  if (odd.length > 0)
    throw new UserError(
      `task.labels: ${odd.join(', ')} not in MHIST; it has HP and SSA.\n  do: write [SSA], or [HP, SSA] with exclusive: true.`,
    )
  const table = await readTable(join(root, 'annotations.csv'))
  const at = (name: string) => columnIndex(table, name, 'annotations.csv of MHIST')
  const [image, label, votes, part] = [
    at(COLUMNS.image),
    at(COLUMNS.label),
    at(COLUMNS.votes),
    at(COLUMNS.part),
  ]
  const negative = MHIST_LABELS.filter((known) => !task.labels.includes(known))
  const labels = readLabels({ column: COLUMNS.label, negative, unknown: [] }, table, task.labels)
  const warnings = [
    'MHIST names no patients, so every image is its own patient: intervals are narrower than they should be.',
  ]
  const find = imageFinder(root)
  const cases: Case[] = []
  const skipped: SourceData['skipped'] = []
  const disputed: string[] = []
  const seen = new Map<string, number>()
  for (const [i, { line, cells }] of table.rows.entries()) {
    const name = cells[image] ?? ''
    const earlier = seen.get(name)
    if (earlier !== undefined)
      throw new UserError(
        `annotations.csv names ${JSON.stringify(name)} on lines ${earlier} and ${line}.\n  do: keep one row an image.`,
      )
    seen.set(name, line)
    const path = name === '' ? null : pathBelowRoot(root, 'images', name)
    if (path === null)
      throw new UserError(
        `annotations.csv, line ${line}: ${JSON.stringify(name)} is not the name of a file in images/.`,
      )
    const found = await find(path)
    if ('missing' in found) {
      skipped.push({ file: path, reason: found.missing })
      continue
    }
    const ssaVotes = Number(cells[votes])
    if (cells[votes] === '' || !Number.isInteger(ssaVotes) || ssaVotes < 0 || ssaVotes > 7)
      throw new UserError(
        `annotations.csv, line ${line}: "${COLUMNS.votes}" must be 0 to 7, found ${JSON.stringify(cells[votes])}.`,
      )
    if (ssaVotes >= 4 !== (cells[label] === 'SSA')) disputed.push(name)
    const given = partNamed(cells[part] ?? '')
    if (given === undefined)
      throw new UserError(
        `annotations.csv, line ${line}: Partition must be train or test, found ${JSON.stringify(cells[part])}.`,
      )
    const id = withoutExtension(name)
    cases.push({
      case_id: id,
      patient_id: id,
      images: [found.path],
      labels: labels[i]!,
      attributes: { ssa_votes: ssaVotes },
      split: given,
    })
  }
  if (disputed.length > 0)
    warnings.push(
      `${count(disputed.length, 'majority label')} of annotations.csv ${disputed.length === 1 ? 'contradicts its' : 'contradict their'} votes; the label is used: ${firstFew(disputed)}.`,
    )
  return { cases, labels: [...task.labels], warnings, has_given_split: true, synthetic: false, skipped }
}
