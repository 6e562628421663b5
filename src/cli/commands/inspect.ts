import { type Command, Option } from 'commander'
import type { InspectResult } from '../../schema/results.ts'
import { colourText } from '../../verbs/colour_text.ts'
import { command } from '../command.ts'
import { count, heading, table } from '../table.ts'

export function inspectCommand(): Command {
  return command<InspectResult, { contactSheet?: string }>({
    name: 'inspect',
    arguments: ['<recipe, folder or csv>'],
    summary: 'count labels and patients, name leaks, before anything is trained',
    description:
      'Counts labels, patients and parts of a data set, names patients and images that the parts share, and warns of what ' +
      'would spoil a training. Of a recipe it shows the split that training would use; of a folder or table, the one that ' +
      'comes with it.',
    examples: [
      'fiducial inspect recipe.yaml',
      'fiducial inspect ~/images --contact-sheet sheet.png',
      'fiducial inspect labels.csv --json',
    ],
    flags: ['set'],
    options: [new Option('--contact-sheet <file.png>', 'write a PNG with a row of images a label')],
    async action({ args: [target], flags, io }) {
      const { inspect } = await import('../../verbs/inspect.ts')
      return inspect(target!, { set: flags.set, contactSheet: flags.contactSheet }, io)
    },
    print: text,
    attention: ({ leaks }) =>
      leaks.length === 0
        ? null
        : `The parts of the split share patients or images (${leaks.length} leaks): numbers measured on them would be too good.`,
  })
}

function text(result: InspectResult): string {
  const blocks = [summary(result), labelTable(result)]
  if (result.volumes !== null) blocks.push(geometryTable(result.volumes))
  blocks.push(splitTable(result))
  if (result.leaks.length > 0) blocks.push(leakList(result))
  if (result.contact_sheet !== null) {
    const rows = result.contact_sheet.rows.map(({ label }, i) => `row ${i + 1} ${label}`)
    blocks.push(`Contact sheet: ${result.contact_sheet.file} (${rows.join(', ')})`)
  }
  if (result.warnings.length > 0)
    blocks.push([heading('Warnings'), ...result.warnings.map((warning) => `- ${warning}`)].join('\n'))
  return blocks.join('\n\n')
}

function summary({ cases, patients, images, volumes, synthetic }: InspectResult): string {
  const line = `${count(cases, 'case')} of ${count(patients, 'patient')}${synthetic ? ', SYNTHETIC: not data of people' : ''}`
  if (volumes !== null)
    return `${line}\n${count(volumes.channels, 'channel')}${volumes.modalities === null ? '' : `: ${volumes.modalities.join(', ')}`}`
  if (images === null) return line
  const { formats, bits, height, width, sampled } = images
  const span = (r: { min: number; max: number }) => (r.min === r.max ? `${r.min}` : `${r.min} to ${r.max}`)
  return (
    `${line}\n${formats.join(', ').toUpperCase()}, ${bits}-bit ${colourText(images)}, ${span(height)} rows by ${span(width)} columns ` +
    `(from ${sampled} of them)`
  )
}

function labelTable({ labels, cases, volumes }: InspectResult): string {
  // Without masks there are no structures that have a volume.
  const volume_ml = Object.keys(volumes?.volume_ml ?? {}).length === 0 ? null : volumes!.volume_ml
  const rows = Object.entries(labels).map(([label, { positive, negative, unknown }]) => [
    label,
    String(positive),
    String(negative),
    String(unknown),
    `${((100 * positive) / Math.max(1, cases - unknown)).toFixed(1)}%`,
    ...(volume_ml === null ? [] : [sizes(volume_ml[label] ?? null, volumes!.distance_unit)]),
  ])
  if (volume_ml !== null)
    return table(['structure', 'present', 'absent', 'unknown', 'prevalence', 'size where present'], rows)
  return table(['label', 'positive', 'negative', 'unknown', 'prevalence'], rows)
}

/** Of images thousands of pixels, shown one by one. */
const sizes = (volume: { min: number; median: number; max: number } | null, distance_unit?: 'px') => {
  if (volume === null) return 'none'
  const [factor, unit] = distance_unit === 'px' ? [1000, 'px'] : [1, 'ml']
  const [min, median, max] = [volume.min, volume.median, volume.max].map((ml) =>
    Number((ml * factor).toPrecision(3)),
  )
  return min === max ? `${median} ${unit}` : `${median} ${unit} (${min} to ${max})`
}

function geometryTable({
  shape,
  spacing_mm,
  orientations,
  sampled,
  distance_unit,
}: NonNullable<InspectResult['volumes']>): string {
  const row = (name: string, { min, median, max }: typeof shape) => [
    name,
    ...[min, median, max].map((triple) => triple.map((n) => Number(n.toPrecision(4))).join(' × ')),
  ]
  if (distance_unit === 'px')
    return `${table(['z × y × x', 'least', 'median', 'most'], [row('pixels', shape)])}\n(from ${sampled} headers; 2D images, which have no mm)`
  const stored = Object.entries(orientations).map(([codes, n]) => `${codes} ${n}`)
  const grid = table(
    ['z × y × x', 'least', 'median', 'most'],
    [row('voxels', shape), row('spacing, mm', spacing_mm)],
  )
  return `${grid}\n(from ${sampled} headers, turned to RAS; stored as ${stored.join(', ')})`
}

const KINDS = {
  random: 'by patient, drawn from the seed',
  folds: 'cross-validation by patient',
  column: 'given, by a column of the table',
  official: 'given with the data set',
}

function splitTable({ split_kind, split, split_patients }: InspectResult): string {
  if (split_kind === null) return 'No split comes with these data; a recipe draws one by patient.'
  const rows = (['train', 'val', 'test'] as const).map((part) => [
    part,
    String(split[part]),
    String(split_patients[part]),
  ])
  return `${table(['split', 'cases', 'patients'], rows)}\n(${KINDS[split_kind]})`
}

const MOST_LEAKS_SHOWN = 100

function leakList({ leaks }: InspectResult): string {
  const shown = leaks.slice(0, MOST_LEAKS_SHOWN).map(({ kind, splits, case_ids, case_splits }) => {
    const what = kind === 'same_patient' ? 'one patient' : 'equal bytes'
    const parts = splits.map((part) => {
      const cases = case_ids.filter((_, i) => case_splits[i] === part)
      const more = cases.length > 3 ? ` and ${cases.length - 3} more` : ''
      return `${part} ${cases.slice(0, 3).join(', ')}${more}`
    })
    return `- ${what} in ${parts.join('; ')}`
  })
  if (leaks.length > shown.length) shown.push(`  … and ${leaks.length - shown.length} more; --json lists all`)
  return [heading(`Leaks: ${leaks.length}`), ...shown].join('\n')
}
