import type { Evaluation, Metric } from '../schema/evaluation.ts'
import type { Certificate, ModelPackage } from '../schema/model_package.ts'
import type { ImageSpec, VolumeSpec } from '../schema/preprocess.ts'
import type { ImageFingerprint, VolumeFingerprint } from '../schema/shard_set.ts'

export const OPEN = '_To be completed by the people responsible for the model._'

/**
 * MODEL_CARD.md: what was measured, as it was measured; what no measurement says is left to be completed.
 *
 * @param evaluation of the run on its validation split; null for models trained elsewhere
 */
export function modelCard(
  model: ModelPackage,
  certificate: Certificate,
  evaluation: Evaluation | null,
): string {
  const sections = [
    `# ${model.name}`,
    `Version ${model.version}. Status: ${model.status}. Certificate: ${certificate.passed ? 'passed' : '**failed**'}.`,
    '**Research use, not a diagnosis.**',
    ...(model.synthetic
      ? ['**Synthetic: trained on computer-generated phantoms. Not for any use on patients.**']
      : []),
    `## Intended use\n\n${OPEN}`,
    `## What it reads and gives\n\n${inputAndOutput(model)}`,
    `## Training data\n\n${trainingData(model)}\n\nPopulation, sites, devices, how the labels were made: ${OPEN}`,
    `## Validation\n\n${evaluation ? validation(evaluation) : 'Not measured here: the model was trained elsewhere.'}`,
    `## Operating points\n\n${operatingPoints(model)}`,
    `## Certificate\n\nThe package was compared with ${certificate.reference}, ` +
      `on ${certificate.validation.length} real cases and on synthetic images in \`golden/\`.\n\n` +
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

function inputAndOutput({ preprocess, task, output }: ModelPackage): string {
  const kind = task.exclusive ? 'exactly one of' : task.labels.length > 1 ? 'any of' : 'present or absent:'
  return [
    `- Input: ${preprocess.kind === 'image' ? imageInput(preprocess) : volumeInput(preprocess)}.`,
    `- Output: ${kind} ${task.labels.map(cell).join(', ')}; a score each (${output.activation}).`,
  ].join('\n')
}

function imageInput({ size, fit, window, channels, resample }: ImageSpec): string {
  const kinds = { squash: 'squashed', pad: 'padded', crop: 'cropped to the centre' }
  const values = window ? `, values ${window.low} to ${window.high}` : ''
  return (
    `PNG, JPEG, TIFF, WebP or DICOM${values}; ${channels === 1 ? 'grey' : 'RGB'}, ${kinds[fit]} ` +
    `to ${size.join(' × ')} pixels (${resample})`
  )
}

/** What becomes of a volume before the network sees it. */
function volumeInput({ channels, orientation, spacing_mm, size }: VolumeSpec): string {
  return (
    `NIfTI volumes or DICOM series of ${channels} ${channels === 1 ? 'channel' : 'channels'}; turned to ${orientation}, ` +
    `${spacing_mm === null ? 'at their own spacing' : `resampled to ${spacing_mm.join(' × ')} mm (z, y, x)`}` +
    `${size === null ? '' : `, cropped or padded to ${size.join(' × ')} voxels about the centre`}`
  )
}

function trainingData({ fingerprint, provenance }: ModelPackage): string {
  if (!fingerprint) return 'Unknown here: the model was trained elsewhere.'
  const formats = Object.entries(fingerprint.source_formats).map(([name, n]) => `${n} ${name}`)
  const sizes = fingerprint.kind === 'images' ? imageSizes(fingerprint) : volumeSizes(fingerprint)
  return [
    `- ${fingerprint.num_cases} cases in the shard set (training, validation and test together): ${formats.join(', ')}.`,
    ...sizes,
    ...(provenance.set_id ? [`- Shard set \`${provenance.set_id}\`.`] : []),
    ...(provenance.split_id ? [`- Split \`${provenance.split_id}\`.`] : []),
  ].join('\n')
}

const imageSizes = ({ source_height, source_width }: ImageFingerprint) => [
  `- Rows ${range(source_height)}; columns ${range(source_width)}.`,
]

const volumeSizes = ({ source_shape, source_spacing_mm }: VolumeFingerprint) =>
  ['z', 'y', 'x'].map(
    (axis, k) => `- ${axis}: ${range(source_shape[k]!)} voxels, ${range(source_spacing_mm[k]!)} mm.`,
  )

const range = ({ min, median, max }: { min: number; median: number; max: number }) =>
  `${min} to ${max} (median ${median})`

function validation(evaluation: Evaluation): string {
  const { confidence, resamples, clusters } = evaluation.bootstrap
  const metrics = ['auroc', 'average_precision', 'sensitivity', 'specificity'] as const
  const rows = Object.entries(evaluation.per_label).map(([label, of]) => [
    label,
    String(of.positive),
    String(of.negative),
    ...metrics.map((name) => shown(of[name])),
  ])
  const patients = clusters === 'patient' ? `of ${evaluation.patients} patients` : '(patients not known)'
  const of = evaluation.split === 'all' ? evaluation.source : `the ${evaluation.split} split`
  return (
    `${evaluation.cases} cases ${patients}, ${of}.\n\n` +
    evaluation.warnings.map((warning) => `- ${cell(warning)}\n`).join('') +
    (evaluation.warnings.length > 0 ? '\n' : '') +
    `${table(['label', 'positive', 'negative', 'AUROC', 'average precision', 'sensitivity', 'specificity'], rows)}\n\n` +
    `In brackets: ${confidence * 100} % bootstrap intervals over ${clusters}s, ${resamples} resamples.`
  )
}

function operatingPoints({ operating_points: points, task }: ModelPackage): string {
  const rows = Object.values(points).map((point) => {
    const { maximize, subject_to = {} } = point.rule ?? {}
    const bounds = Object.entries(subject_to).map(([name, least]) => `${name} ≥ ${least}`)
    const rule = maximize === undefined ? 'none' : [`most ${maximize}`, ...bounds].join(', ')
    return [
      point.label,
      fourDigits(point.threshold),
      rule,
      point.chosen_on,
      point.attained ? 'yes' : '**no**',
    ]
  })
  if (rows.length > 0) return table(['label', 'threshold', 'rule', 'chosen on', 'rule met'], rows)
  return task.exclusive
    ? 'None: the class with the highest score is the decision.'
    : 'None: the package gives scores and no decisions.'
}

export function provenanceList(made: ModelPackage['provenance']): string {
  const facts: [string, string | number | boolean | null][] = [
    ['created', made.created],
    ['fiducial', made.fiducial_version],
    ['commit', made.commit],
    ['uncommitted changes', made.dirty],
    ['run', made.run],
    ['step', made.step],
    ['seed', made.seed],
    ['recipe sha256', made.recipe_hash],
    ['Node lock sha256', made.node_lock_sha256],
    ['Python lock sha256', made.python_lock_sha256],
  ]
  return facts.map(([name, value]) => `- ${name}: ${value === null ? 'unknown' : `\`${value}\``}`).join('\n')
}

function shown(metric: Metric): string {
  if (metric.value === null) return `undefined (${metric.reason})`
  const interval =
    metric.low === null || metric.high === null ? '' : ` (${metric.low.toFixed(3)}–${metric.high.toFixed(3)})`
  return `${metric.value.toFixed(3)}${interval}`
}

/** The whole number stands in model.json and certificate.json. */
export const fourDigits = (value: number | string): string =>
  typeof value === 'number' ? String(Number(value.toPrecision(4))) : value

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(header), `|${' --- |'.repeat(header.length)}`, ...rows.map(line)].join('\n')
}

/** Labels are the user's words and may hold what Markdown reads as its own. */
export function cell(text: string): string {
  return text.replace(/[|<>\\]/g, '\\$&').replace(/\s+/g, ' ')
}
