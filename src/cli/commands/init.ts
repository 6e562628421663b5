import { type Command, Option } from 'commander'
import type { InitResult } from '../../verbs/init.ts'
import { command } from '../command.ts'

export function initCommand(): Command {
  return command<InitResult, { out: string; force: boolean }>({
    name: 'init',
    arguments: ['<folder, csv or data set>'],
    summary: 'look at images or a table and write a commented recipe',
    description:
      'Looks at a folder of images, class folders, a table or a known layout (NIH ChestX-ray14, MHIST; of volumes the Decathlon and nnU-Net), says what it ' +
      'recognised and what only you can know, and writes a recipe that runs as it is. "phantom" and ' +
      '"phantom_volumes" write the recipes of synthetic data sets.',
    examples: [
      'fiducial init ~/images',
      'fiducial init labels.csv --out pneumonia.yaml',
      'fiducial init phantom',
    ],
    flags: ['dry-run'],
    options: [
      new Option('--out <file>', 'recipe to write').default('recipe.yaml'),
      new Option('--force', 'overwrite a recipe that is there').default(false),
    ],
    async action({ args: [target], flags, io }) {
      const { init } = await import('../../verbs/init.ts')
      return init(target!, { out: flags.out, force: flags.force, dryRun: flags.dryRun }, io)
    },
    print: describe,
  })
}

function describe(result: InitResult): string {
  const counts = Object.entries(result.labels).map(([label, n]) => {
    const unknown = n.unknown > 0 ? `, ${n.unknown} unknown` : ''
    return `  ${label}: ${n.positive} with, ${n.negative} without${unknown}`
  })
  return [
    ...(result.synthetic ? ['SYNTHETIC: these images show nobody.'] : []),
    ...(result.cases === null ? [] : [`${result.cases} cases of ${result.patients} patients`, ...counts]),
    ...section('Recognised', result.recognised),
    ...section('Please check', result.please_check),
    ...section('Warnings', result.warnings),
    ...(result.skipped > 0
      ? [`${result.skipped} files or rows would be left out; "fiducial inspect" lists them.`]
      : []),
    ...(result.dry_run
      ? ['', result.text.trimEnd()]
      : [
          '',
          `Wrote ${result.recipe}`,
          `next: fiducial inspect ${shown(result.recipe)}, then fiducial run ${shown(result.recipe)}`,
        ]),
  ].join('\n')
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  - ${line}`)]
}

/** Relative to the working directory, quoted for a shell where it needs it. */
function shown(path: string): string {
  const near = path.startsWith(`${process.cwd()}/`) ? path.slice(process.cwd().length + 1) : path
  return /^[\w./-]+$/.test(near) ? near : `'${near.replaceAll("'", "'\\''")}'`
}
