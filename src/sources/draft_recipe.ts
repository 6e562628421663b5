import { commented, flow, oneLine } from './recipe_text.ts'
import type { Sniffed } from './sniff.ts'

/**
 * A recipe's text from what was sniffed, commented, complete: it parses and runs as it is.
 *
 * @param root as it shall stand in the recipe, relative to it or absolute
 * @param schema path or address of the recipe's JSON Schema, for editors; null leaves it out
 */
export function draftRecipe(
  sniffed: Sniffed,
  { name, root, schema }: { name: string; root: string; schema: string | null },
): string {
  const { source, split, labels, exclusive, look, data } = sniffed
  const lines: string[] = []
  const put = (line: string, comment = '') => lines.push(...commented(line, comment))
  const positives = labels.map((label) => data.cases.filter((c) => c.labels[label] === 1).length)
  const rarest = Math.min(...positives) / data.cases.length
  const size = imageSize(sniffed)
  const patients = new Set(data.cases.map((c) => c.patient_id)).size

  if (schema) lines.push(`# yaml-language-server: $schema=${schema}`)
  if (data.synthetic)
    lines.push('# SYNTHETIC images with known truth: they check the instrument and show nobody.')
  const hasPatients = patients < data.cases.length || Boolean(source.patient)
  lines.push(
    `# ${data.cases.length} images${hasPatients ? ` of ${patients} patients` : ', each counted as its own patient'}. Recognised:`,
  )
  for (const line of sniffed.found) lines.push(`#   ${oneLine(line)}`)
  if (sniffed.unsure.length > 0) lines.push('# Please check:')
  for (const line of sniffed.unsure) lines.push(`#   ${oneLine(line)}`)
  lines.push(`name: ${flow(name)}`, 'data:')
  put(`  root: ${flow(root)}`, 'relative to this file')
  const { kind, ...rest } = source
  if (Object.keys(rest).length === 0) put(`  source: ${kind}`)
  else {
    put('  source:')
    put(`    kind: ${kind}`)
    for (const [key, value] of Object.entries(rest)) put(`    ${key}: ${flow(value)}`, SOURCE_COMMENTS[key])
    if (!('patient' in rest) && (kind === 'csv' || kind === 'folder'))
      put(
        '    # patient: …',
        kind === 'csv'
          ? 'column of patient ids: name it if there is one'
          : 'expression whose group is the patient id',
      )
  }
  put(`  split: ${flow(split)}`, splitComment(split, hasPatients))
  put(
    `prepare: ${flow({ size, channels: look.colour === 'grey' ? 1 : 3, ...(hasOneShape(sniffed) ? {} : { fit: 'pad' }) })}`,
    sizeComment(sniffed),
  )
  if (labels.length <= 4 && labels.join('').length < 60)
    put(`task: ${flow({ kind: 'classify', labels, ...(exclusive ? { exclusive: true } : {}) })}`)
  else {
    lines.push('task:', '  kind: classify')
    if (exclusive) put('  exclusive: true', 'exactly one label an image')
    lines.push('  labels:', ...labels.map((label) => `    - ${flow(label)}`))
  }
  put('model: resnet18', "any timm name; { kind: …, weights: pretrained } starts from ImageNet's")
  if (look.is_stained) put('augment: { flip_x: 0.5, flip_y: 0.5, rotate90: 1 }', 'tiles have no up')
  else if (isChestFilm(sniffed, name))
    put('augment: { flip_x: 0 }', 'a mirrored heart is on the wrong side; CheXNet flipped half of them: 0.5')
  else put('augment: { flip_x: 0 }', '0.5 where left and right mean the same')
  const loss = rarest < 0.2 && !exclusive ? { loss: { kind: 'bce', pos_weight: 'auto' } } : {}
  put(`train: ${flow({ epochs: epochs(sniffed), global_batch: 32, lr: 0.001, ...loss, seed: 0 })}`)
  put(
    'evaluate: { operating_point: { maximize: youden } }',
    'or { maximize: specificity, subject_to: { sensitivity: 0.95 } }',
  )
  return `${lines.join('\n')}\n`
}

const SOURCE_COMMENTS: Record<string, string> = {
  file: 'relative to root',
  image: 'column of image paths',
  images_dir: 'folder that those paths are relative to',
  patient: 'images of one patient stay in one part of the split',
  negative: 'class folders that mean: none of the labels',
  attributes: 'kept for subgroups: evaluate: { subgroups: […] }',
}

function splitComment(split: Sniffed['split'], hasPatients: boolean): string {
  if ('column' in split || 'official' in split)
    return split.val ? "the data set's own; val is taken from its training part" : "the data set's own"
  return hasPatients ? 'by patient, stratified' : 'stratified; every image is its own patient'
}

/**
 * Told by layout, folder, file and label names: heart, stomach and side markers say left from right, which a reader
 * uses, and a picture mirrored at random denies.
 */
function isChestFilm({ source, labels, data }: Sniffed, name: string): boolean {
  const words = [name, ...labels, ...data.cases.slice(0, 100).map((found) => found.images[0]!)].join(' ')
  return (
    source.kind === 'chestxray14' ||
    /chest|cxr|x-?ray|thorax|radiograph|pneumonia|cardiomegaly|effusion/i.test(words)
  )
}

/** 128, or less for small images; a multiple of 32, which convolutional networks halve evenly. */
function imageSize({ look }: Sniffed): number {
  const side = Math.min(look.height.median, look.width.median)
  return Math.max(32, Math.min(128, 32 * Math.floor(side / 32)))
}

function sizeComment(sniffed: Sniffed): string {
  const { height, width } = sniffed.look
  const side = Math.min(height.median, width.median)
  const finer = Math.min(224, 32 * Math.floor(side / 32))
  const more = side > 224 ? `${finer} or more` : finer > imageSize(sniffed) ? `${finer}` : null
  const advice = more === null ? '' : `; ${more} keeps finer detail and takes longer`
  return `sources are ${height.median} x ${width.median}${advice}`
}

/** True when squashing to a square hardly distorts. */
function hasOneShape({ look }: Sniffed): boolean {
  const ratios = [look.height.min / look.width.max, look.height.max / look.width.min]
  return ratios.every((ratio) => ratio > 0.95 && ratio < 1.05)
}

/** About 250 optimizer steps of 32, within 5 to 20 epochs: minutes for hundreds of images. */
function epochs({ data }: Sniffed): number {
  return Math.min(20, Math.max(5, Math.ceil((250 * 32) / (0.65 * data.cases.length))))
}
