import { commented, flow, oneLine } from './recipe_text.ts'
import type { SniffedLabelledVolumes } from './sniff_labelled_volumes.ts'

/**
 * A recipe's text from volumes with labels, commented, complete: it parses and runs as it is.
 *
 * @param root as it shall stand in the recipe, relative to it or absolute
 * @param schema path or address of the recipe's JSON Schema, for editors; null leaves it out
 */
export function draftLabelledVolumes(
  { source, split, labels, exclusive, data, look, found, unsure }: SniffedLabelledVolumes,
  { name, root, schema }: { name: string; root: string; schema: string | null },
): string {
  const lines: string[] = []
  const put = (line: string, comment = '') => lines.push(...commented(line, comment))
  const patients = new Set(data.cases.map((c) => c.patient_id)).size
  const hasPatients = patients < data.cases.length || source.patient !== undefined

  if (schema) lines.push(`# yaml-language-server: $schema=${schema}`)
  lines.push(
    `# ${data.cases.length} volumes${hasPatients ? ` of ${patients} patients` : ', each counted as its own patient'}. Recognised:`,
  )
  for (const line of found) lines.push(`#   ${oneLine(line)}`)
  if (unsure.length > 0) lines.push('# Please check:')
  for (const line of unsure) lines.push(`#   ${oneLine(line)}`)
  lines.push(`name: ${flow(name)}`, 'data:')
  put(`  root: ${flow(root)}`, 'relative to this file')
  put('  source:')
  for (const [key, value] of Object.entries(source))
    put(
      `    ${key}: ${flow(value)}`,
      key === 'image' && Array.isArray(value) ? 'a file a channel, in this order' : COMMENTS[key],
    )
  put(
    `  split: ${flow(split)}`,
    'column' in split || 'official' in split ? "the data set's own" : 'by patient, stratified',
  )
  const grid = storedGrid(look)
  put(
    `prepare: { spacing_mm: ${flow(grid.spacing_mm)}, size: ${flow(grid.size)}, orientation: RAS, intensity: auto }`,
    `[z, y, x]: what the volumes cover in the median; of CT write intensity: { kind: window, low: …, high: … }`,
  )
  put(`task: ${flow({ kind: 'classify', labels, ...(exclusive ? { exclusive: true } : {}) })}`)
  put('model: { kind: resnet3d, depth: 18, base_channels: 32 }', 'or a file of your own')
  put('augment: { flip: [] }', '[x] where left and right mean the same')
  put(`train: { epochs: ${epochs(data.cases.length)}, global_batch: 8, lr: 0.001, seed: 0 }`)
  put(
    'evaluate: { operating_point: { maximize: youden } }',
    'or { maximize: specificity, subject_to: { sensitivity: 0.95 } }',
  )
  return `${lines.join('\n')}\n`
}

const COMMENTS: Record<string, string> = {
  file: 'relative to root',
  image: 'column of paths',
  images_dir: 'folder that those paths are relative to',
  patient: 'volumes of one patient stay in one part of the split',
  negative: 'class folders that mean: none of the labels',
  attributes: 'kept for subgroups: evaluate: { subgroups: […] }',
}

/** Voxels along the longest axis: finer grids take memory and time that a first run need not spend. */
const MOST_VOXELS = 96

/** A grid that covers the median volume, at its own spacing or coarser. */
function storedGrid({ shape, spacing_mm }: SniffedLabelledVolumes['look']) {
  const extent = [0, 1, 2].map((k) => shape.median[k]! * spacing_mm.median[k]!)
  const spacing = extent.map((mm, k) =>
    Number(Math.max(spacing_mm.median[k]!, mm / MOST_VOXELS).toPrecision(3)),
  )
  return { spacing_mm: spacing, size: extent.map((mm, k) => Math.max(1, Math.round(mm / spacing[k]!))) }
}

/** About 1,000 optimizer steps of eight volumes. */
function epochs(cases: number): number {
  return Math.min(60, Math.max(10, Math.ceil((1000 * 8) / (0.65 * cases))))
}
