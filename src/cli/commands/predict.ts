import { type Command, Option } from 'commander'
import type { PredictResult } from '../../schema/results.ts'
import { command, positiveInteger, threadCount } from '../command.ts'
import { table } from '../table.ts'

export function predictCommand(): Command {
  return command<PredictResult, { batch: number; threads?: number; allowFailed: boolean }>({
    name: 'predict',
    arguments: ['<package>', '<files...>'],
    summary: 'score images or volumes, or segment volumes, with a model package',
    description:
      'Scores image files, and all images in folders, with a model package; or, by what the package is of, scores NIfTI ' +
      'volumes and DICOM series, or segments them or 2D images: masks go to --out on the grid of each input. Needs no Python. ' +
      'A file that cannot be read is listed under "failed"; the rest is scored and the exit code is 3.',
    examples: [
      'fiducial predict runs/chest/package scan.png',
      'fiducial predict runs/chest/package images/ --out predictions --json',
      'fiducial predict runs/hippocampus/package scans/ --out masks',
    ],
    flags: ['out'],
    options: [
      new Option(
        '--batch <n>',
        'cases in one run of the network; 8 images or 1 volume unless given',
      ).argParser(positiveInteger),
      new Option('--threads <n>', 'threads of the network; all cores, at most 4, unless given').argParser(
        threadCount,
      ),
      new Option('--allow-failed', 'use a package without a passing certificate').default(false),
    ],
    async action({ args: [dir, ...files], flags, io }) {
      const { predict } = await import('../../verbs/predict.ts')
      return predict(dir!, files, flags, io)
    },
    print: (result) =>
      result.predictions.some((one) => one.volumes_ml ?? one.areas_px)
        ? volumeTable(result)
        : scoreTable(result),
    attention: ({ failed }) =>
      failed.length > 0 ? `${failed.length} of the files could not be scored; "failed" says why.` : null,
  })
}

function scoreTable({ predictions, failed }: PredictResult): string {
  const labels = Object.keys(predictions[0]?.scores ?? {})
  const rows = predictions.map((p) => [
    `${p.warnings.length > 0 ? '! ' : ''}${printable(p.file)}`,
    ...labels.map((label) => `${p.scores[label]!.toFixed(4)}${p.decisions[label] ? ' +' : ''}`),
  ])
  const header = ['file', ...labels]
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  const lines = predictions.length > 0 ? [line(header), ...rows.map(line)] : []
  const warned = predictions.filter((p) => p.warnings.length > 0)
  if (warned.length > 0) lines.push('')
  for (const { file, warnings } of warned)
    lines.push(`! ${printable(file)}: ${printable(warnings.join(' ').replaceAll(/\s+/g, ' '))}`)
  for (const { file, reason } of failed)
    lines.push(`failed: ${printable(file)}: ${printable(reason.replaceAll(/\s+/g, ' '))}`)
  if (predictions.some((p) => Object.values(p.decisions).some(Boolean)))
    lines.push('', `${plusText(predictions)} Research use, not a diagnosis.`)
  return lines.join('\n')
}

function volumeTable({ predictions, failed }: PredictResult): string {
  const sizesOf = (one: PredictResult['predictions'][number]) => (one.areas_px ?? one.volumes_ml)!
  const isFlat = predictions[0]!.areas_px !== undefined
  const labels = Object.keys(sizesOf(predictions[0]!))
  const text = table(
    [
      'case',
      ...labels.map((label) => `${label} in ${isFlat ? 'px' : 'ml'}`),
      'seconds',
      ...(predictions[0]!.mask ? ['mask'] : []),
    ],
    predictions.map((one) => [
      `${one.warnings.length > 0 ? '! ' : ''}${printable(one.case_id)}`,
      ...labels.map((label) => (isFlat ? String(sizesOf(one)[label]) : sizesOf(one)[label]!.toPrecision(4))),
      one.seconds.toFixed(1),
      ...(one.mask ? [printable(one.mask)] : []),
    ]),
  )
  const lines = [text]
  for (const { file, warnings } of predictions.filter((one) => one.warnings.length > 0))
    lines.push(`! ${printable(file)}: ${printable(warnings.join(' ').replaceAll(/\s+/g, ' '))}`)
  for (const { file, reason } of failed)
    lines.push(`failed: ${printable(file)}: ${printable(reason.replaceAll(/\s+/g, ' '))}`)
  return [...lines, '', 'Research use, not a diagnosis.'].join('\n')
}

/** What the plus signs say: thresholds are of the package, the same for all images. */
function plusText(predictions: PredictResult['predictions']): string {
  const points = Object.entries(predictions[0]?.operating_points ?? {})
  if (points.length === 0) return '+ the class with the highest score.'
  const bounds = points.map(([label, threshold]) => `${printable(label)} ≥ ${threshold.toPrecision(4)}`)
  return `+ at or above the operating point (${bounds.join(', ')}).`
}

/** A hostile file name must not move the cursor or colour the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
