import { commented, flow, oneLine } from './recipe_text.ts'
import type { SniffedVolumes } from './sniff_volumes.ts'

/**
 * A recipe's text from a folder of volumes, commented, complete: it parses and runs as it is.
 *
 * @param root as it shall stand in the recipe, relative to it or absolute
 * @param schema path or address of the recipe's JSON Schema, for editors; null leaves it out
 */
export function draftVolumeRecipe(
  { source, split, task, data, look, found, unsure }: SniffedVolumes,
  { name, root, schema }: { name: string; root: string; schema: string | null },
): string {
  const lines: string[] = []
  const put = (line: string, comment = '') => lines.push(...commented(line, comment))
  const patients = new Set(data.cases.map((c) => c.patient_id)).size
  const hasPatients = patients < data.cases.length
  const isFlat = look.distance_unit === 'px'
  const noun = isFlat ? 'images' : 'volumes'

  if (schema) lines.push(`# yaml-language-server: $schema=${schema}`)
  if (data.synthetic)
    lines.push('# SYNTHETIC volumes with known truth: they check the instrument and show nobody.')
  lines.push(
    `# ${data.cases.length} ${noun}${hasPatients ? ` of ${patients} patients` : ', each counted as its own patient'}. Recognised:`,
  )
  for (const line of found) lines.push(`#   ${oneLine(line)}`)
  if (unsure.length > 0) lines.push('# Please check:')
  for (const line of unsure) lines.push(`#   ${oneLine(line)}`)
  lines.push(`name: ${flow(name)}`, 'data:')
  put(`  root: ${flow(root)}`, 'relative to this file')
  if (Object.keys(source).length === 1) {
    put(
      `  source: ${source.kind}`,
      "or { kind: …, patient: '(pattern)' } on the case ids, if patients have several",
    )
  } else
    put(
      `  source: ${flow(source)}`,
      source.patient === undefined
        ? 'patient: … names the column of patient ids, if there is one'
        : `${noun} of one patient stay in one part of the split`,
    )
  put(
    `  split: ${flow(split)}`,
    'folds' in split
      ? 'cross-validation: run each fold, then package them together'
      : 'column' in split
        ? 'as the table says'
        : 'by patient; too few of them for a test split',
  )
  if (isFlat)
    put(
      'prepare: { spacing_mm: auto, intensity: auto }',
      'pixels as they are; spacing_mm: [1, 2, 2] halves rows and columns',
    )
  else
    put(
      'prepare: { spacing_mm: auto, orientation: RAS, intensity: auto }',
      `spacing_mm: auto is [${look.spacing_mm.median.map((mm) => Number(mm.toPrecision(4))).join(', ')}] here, [z, y, x]`,
    )
  put(`task: ${flow(task)}`, task.regions === undefined ? '' : 'nested, the outermost first: a sigmoid each')
  put(
    `model: { kind: unet3d, channels: ${flow(channels(isFlat ? look.shape.median.slice(1) : look.shape.median))}, residual_units: 2 }`,
    'or segresnet, dynunet',
  )
  put('augment: { flip: [] }', '[x] where left and right mean the same')
  put(
    `train: { epochs: ${epochs(data.cases.length)}, patch_size: auto, lr: 0.001, seed: 0 }`,
    `auto: from the ${noun} and the memory at hand, with the reason said`,
  )
  put(
    'evaluate: { surface_tolerance_mm: 1 }',
    isFlat
      ? 'pixels by which two contours may differ and still agree'
      : 'distance at which two surfaces still agree',
  )
  return `${lines.join('\n')}\n`
}

/** A level for every halving down to about 4 voxels of the shortest axis, two at least. */
function channels(shape: readonly number[]): number[] {
  const shortest = Math.min(...shape)
  const levels = Math.min(5, Math.max(3, Math.floor(Math.log2(shortest / 4)) + 1))
  return [16, 32, 64, 128, 256].slice(0, levels)
}

/** About 1,500 optimizer steps of two crops: an hour or so on a few cores, minutes on a GPU. */
function epochs(cases: number): number {
  return Math.min(200, Math.max(10, Math.ceil((1500 * 2) / (0.8 * cases))))
}
