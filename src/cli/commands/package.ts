import { type Command, Option } from 'commander'
import type { DryRunResult, PackageResult } from '../../schema/results.ts'
import { command } from '../command.ts'
import { dryRunText } from './train.ts'

interface Flags {
  data?: string
  packageVersion?: string
  onnx?: string
  preprocess?: string
  reference?: string
  verify?: string
}

export function packageCommand(): Command {
  return command<PackageResult | DryRunResult, Flags>({
    name: 'package',
    arguments: ['[run...]'],
    summary: 'export a run as a certified model package, or verify one',
    description:
      'Exports a finished run to ONNX and certifies that the package computes what was trained: on synthetic golden ' +
      'images and on real validation cases, in PyTorch, onnxruntime and the server. ' +
      'Several segmentation runs, such as the folds of a recipe, become one package that averages them. ' +
      'With --onnx it packages a model that another tool trained; with --verify it measures an existing package again. ' +
      'Exit code 3 when a certificate fails: the package is written, and "serve" and "predict" refuse it.',
    examples: [
      'fiducial package runs/chest-20261121-143005',
      'fiducial package runs/hippocampus-* --out ensemble',
      'fiducial package --onnx m.onnx --preprocess spec.yaml --reference cases.csv --out m-package',
      'fiducial package --verify runs/chest-20261121-143005/package --data recipe.yaml',
    ],
    flags: ['out', 'set', 'dry-run'],
    options: [
      new Option('--data <recipe>', 'where the images lie now; they are found by their content'),
      new Option('--package-version <text>', 'version of the package; the run folder unless given'),
      new Option('--onnx <file>', 'package this ONNX model of another tool'),
      new Option('--preprocess <yaml>', 'with --onnx: how it wants its images'),
      new Option('--reference <csv>', 'with --onnx: files with the scores that it gave where it was trained'),
      new Option('--verify <package>', 'measure the package in this folder again; writes nothing'),
    ],
    async action({ args: runs, flags, io }) {
      const { choosePackaging } = await import('../../verbs/choose_packaging.ts')
      return choosePackaging({ ...flags, runs }, io)
    },
    print: (result) => ('dry_run' in result ? dryRunText(result) : certificateText(result)),
    attention: (result) =>
      'dry_run' in result || result.certificate.passed
        ? null
        : (onlyAbsent(result.certificate) ??
          'The certificate failed: this package does not compute what was measured. Do not use it; ' +
            'the checks marked FAILED say where it differs.\n' +
            '  do: for a model of another tool, docs/guides/models_of_other_tools.md lists the usual culprits.'),
  })
}

/** What failed is that files were not found, which says nothing about the package; null where something else did. */
function onlyAbsent({ checks }: PackageResult['certificate']): string | null {
  const failed = checks.filter(({ passed }) => !passed)
  const [absent] = failed
  if (failed.length !== 1 || absent!.name !== 'validation_files_absent') return null
  return (
    `${absent!.value} of the files that the certificate names were not found in the data of the recipe; all that could be measured passed.\n` +
    '  do: give --data a recipe of the data set that the package was validated on.'
  )
}

function certificateText({ package_dir, certificate: { passed, checks } }: PackageResult): string {
  const width = Math.max(0, ...checks.map((check) => check.name.length))
  const shown = (value: number | string) =>
    typeof value === 'string'
      ? value.slice(0, 16)
      : Number.isInteger(value)
        ? String(value)
        : value.toExponential(1)
  const lines = checks.map(
    ({ name, passed: ok, value, limit }) =>
      `${ok ? 'passed' : 'FAILED'}  ${name.padEnd(width)}  ${shown(value)}  (limit ${shown(limit)})`,
  )
  return [...lines, '', `certificate ${passed ? 'passed' : 'FAILED'}`, `package ${package_dir}`].join('\n')
}
