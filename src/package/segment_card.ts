import { unitsOf } from '../evaluate/units.ts'
import type { Metric } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { Certificate } from '../schema/model_package.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { cell, fourDigits, OPEN, provenanceList, table } from './model_card.ts'

/**
 * MODEL_CARD.md of a package that segments: what was measured, as it was measured; what no measurement says is left to be
 * completed.
 *
 * @param evaluations of each run on its validation split
 */
export function segmentCard(
  model: SegmentPackage,
  certificate: Certificate,
  evaluations: readonly SegmentEvaluation[],
): string {
  const sections = [
    `# ${model.name}`,
    `Version ${model.version}. Status: ${model.status}. Certificate: ${certificate.passed ? 'passed' : '**failed**'}.`,
    '**Research use, not a diagnosis.**',
    ...(model.synthetic
      ? ['**Synthetic: trained on computer-generated phantom volumes. Not for any use on patients.**']
      : []),
    `## Intended use\n\n${OPEN}`,
    `## What it reads and gives\n\n${inputAndOutput(model)}`,
    `## Training data\n\n${trainingData(model)}\n\nPopulation, sites, devices, how the masks were drawn: ${OPEN}`,
    `## Validation\n\n${evaluations.map(validation).join('\n\n')}`,
    `## Certificate\n\nThe package was compared with ${certificate.reference}, ` +
      `on ${certificate.volumes?.length ?? 0} real cases and on the phantom volumes in \`golden/\`.\n\n` +
      table(
        ['check', 'passed', 'measured', 'limit'],
        certificate.checks.map((c) => [
          c.name,
          c.passed ? 'yes' : '**no**',
          fourDigits(c.value),
          fourDigits(c.limit),
        ]),
      ),
    `## Provenance\n\n${provenanceList(model.provenance)}`,
    `## Limits, risks and ethical considerations\n\n${OPEN}`,
    `## Contact\n\n${OPEN}`,
  ]
  return `${sections.join('\n\n')}\n`
}

function inputAndOutput({ preprocess, task, input, networks, inference }: SegmentPackage): string {
  const { channels, orientation, spacing_mm, distance_unit } = preprocess
  const isFlat = distance_unit === 'px'
  const colours = channels === 1 ? 'grey' : channels === 3 ? 'RGB, or a file a channel' : 'a file a channel'
  return [
    isFlat
      ? `- Input: 2D images (PNG, JPEG, TIFF, WebP) of ${channels} ${channels === 1 ? 'channel' : 'channels'} (${colours}), upright by EXIF; ` +
        `${spacing_mm === null || spacing_mm.every((px) => px === 1) ? 'every pixel as it is' : `resampled to steps of ${spacing_mm.slice(1).join(' × ')} pixels (y, x)`}.`
      : `- Input: NIfTI volumes or DICOM series of ${channels} ${channels === 1 ? 'channel' : 'channels'}; turned to ${orientation}, ` +
        `${spacing_mm === null ? 'at their own spacing' : `resampled to ${spacing_mm.join(' × ')} mm (z, y, x)`}.`,
    `- Output: a mask ${isFlat ? 'of the size of the input, as PNG' : 'on the grid of the input'}. ${task.structures.map(({ name, values }) => `${cell(name)}: ${values.join(', ')}`).join('; ')}.`,
    `- Windows of ${input.patch_size.join(' × ')} voxels${networks.length > 1 ? `, ${networks.length} networks averaged` : ''}` +
      `${inference.mirror.length > 0 ? `, mirrored along ${inference.mirror.join(', ')}` : ''}` +
      `${inference.largest_component.length > 0 ? `; largest piece kept of ${inference.largest_component.join(', ')}` : ''}.`,
    ...inference.reasons.map((reason) => `  - chosen on validation: ${cell(reason)}`),
  ].join('\n')
}

function trainingData({ fingerprint, provenance, preprocess }: SegmentPackage): string {
  if (fingerprint === null) return 'Unknown here.'
  const isFlat = preprocess.distance_unit === 'px'
  const range = ({ min, median, max }: { min: number; median: number; max: number }) =>
    `${min} to ${max} (median ${median})`
  const formats = Object.entries(fingerprint.source_formats).map(([name, n]) => `${n} ${name}`)
  return [
    `- ${fingerprint.num_cases} cases in the shard set (training, validation and test together): ${formats.join(', ')}.`,
    ...['z', 'y', 'x'].map(
      (axis, k) =>
        `- ${axis}: ${range(fingerprint.source_shape[k]!)} voxels${isFlat ? '' : `, ${range(fingerprint.source_spacing_mm[k]!)} mm`}.`,
    ),
    ...(provenance.set_id ? [`- Shard set \`${provenance.set_id}\`.`] : []),
    ...(provenance.split_id ? [`- Split \`${provenance.split_id}\`.`] : []),
  ].join('\n')
}

function validation(evaluation: SegmentEvaluation): string {
  const { confidence, resamples, clusters } = evaluation.bootstrap
  const { length } = unitsOf(evaluation)
  const rows = Object.entries(evaluation.per_label).map(([label, of]) => [
    label,
    String(of.counted),
    String(of.missed),
    String(of.falsely_present),
    shown(of.dice),
    shown(of.surface_dice),
    shown(of.hd95_mm),
  ])
  const head = [
    'structure',
    'cases',
    'missed',
    'falsely present',
    'Dice',
    `surface Dice (${evaluation.surface_tolerance_mm} ${length})`,
    `HD95 in ${length}`,
  ]
  return (
    `${evaluation.source}: ${evaluation.cases} cases of ${evaluation.patients} patients, the ${evaluation.split} split.\n\n` +
    evaluation.warnings.map((warning) => `- ${cell(warning)}\n`).join('') +
    (evaluation.warnings.length > 0 ? '\n' : '') +
    `${table(head, rows)}\n\nIn brackets: ${confidence * 100} % bootstrap intervals over ${clusters}s, ${resamples} resamples.`
  )
}

function shown(metric: Metric): string {
  if (metric.value === null) return `undefined (${metric.reason})`
  const interval =
    metric.low === null || metric.high === null ? '' : ` (${metric.low.toFixed(3)}–${metric.high.toFixed(3)})`
  return `${metric.value.toFixed(3)}${interval}`
}
