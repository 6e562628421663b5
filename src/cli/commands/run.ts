import { type Command, Option } from 'commander'
import type { Evaluation } from '../../schema/evaluation.ts'
import type { SegmentEvaluation } from '../../schema/evaluation_segment.ts'
import type { DryRunResult, RunResult } from '../../schema/results.ts'
import { segmentSummaryLines, summaryLines } from '../../verbs/evaluation_text.ts'
import { openedText } from '../../verbs/opened_text.ts'
import { command } from '../command.ts'
import { quarantineText } from './prepare.ts'
import { dryRunText, trainLine } from './train.ts'

export function runCommand(): Command {
  return command<RunResult | DryRunResult, { out?: string; new: boolean }>({
    name: 'run',
    arguments: ['<recipe>'],
    summary: 'prepare, train, evaluate and package a recipe; resumable',
    description:
      'Prepares, trains, evaluates on the validation split and packages a recipe. Stages whose output is complete ' +
      'and current are skipped: the same command resumes. The test split stays closed; open it with\n' +
      '"fiducial evaluate <run> --split test".',
    examples: ['fiducial run recipe.yaml', 'fiducial run recipe.yaml --set train.seed=1'],
    flags: ['set', 'workers', 'run-dir', 'dry-run'],
    options: [
      new Option('--out <dir>', 'folder of the shard set, when it is not below prepared/'),
      new Option('--new', 'start another run instead of resuming').default(false),
    ],
    async action({ args: [path], flags, io }) {
      const { loadRecipe } = await import('../../verbs/load_recipe.ts')
      const options = { workers: flags.workers, out: flags.out, runDir: flags.runDir, new: flags.new }
      const loaded = await loadRecipe(path!, flags.set)
      if (flags.dryRun) {
        const { planTraining } = await import('../../verbs/plan_run.ts')
        const plan = await planTraining(loaded, { ...options, reuseFinished: true }, io)
        return {
          ...plan,
          would: [...plan.would, 'evaluate on the validation split', 'package with a certificate'],
        }
      }
      const { run } = await import('../../verbs/run.ts')
      return run(loaded, options, io)
    },
    print: (result) => ('dry_run' in result ? dryRunText(result) : runText(result)),
    attention: (result) => ('dry_run' in result ? null : attentionText(result)),
  })
}

function attentionText({ prepare, package: { certificate }, package_dir }: RunResult): string | null {
  const texts = [
    quarantineText(prepare),
    certificate.passed
      ? null
      : `The certificate failed: ${certificate.checks
          .filter((check) => !check.passed)
          .map((check) => `${check.name} ${check.value} (limit ${check.limit})`)
          .join('; ')}\n  do: do not serve this package; see ${package_dir}/certificate.json`,
  ].filter((text) => text !== null)
  return texts.length === 0 ? null : texts.join('\n')
}

function runText(result: RunResult): string {
  const { passed, checks } = result.package.certificate
  const seconds = result.stages.map(({ stage, skipped, seconds }) =>
    skipped ? `${stage} done before` : `${stage} ${seconds.toFixed(1)} s`,
  )
  return [
    trainLine(result.train),
    `run   ${result.run_dir}`,
    `time  ${seconds.join(', ')}`,
    `certificate ${passed ? 'passed' : 'FAILED'}, ${checks.length} checks`,
    `report   ${result.report}`,
    `package  ${result.package_dir}`,
    '',
    ...summary(result),
    '',
    ...nextLines(result),
  ].join('\n')
}

function summary(result: RunResult): string[] {
  const { kind } = result.evaluate.task as { kind?: string }
  return kind === 'segment'
    ? segmentSummaryLines(result.evaluate as SegmentEvaluation, result)
    : summaryLines(result.evaluate as Evaluation, result)
}

function nextLines({ test_split: test, run_dir, package_dir }: RunResult): string[] {
  const serve = `fiducial serve ${package_dir}`
  if (test.openings > 0) {
    const where = test.report === null ? '' : `\n         ${test.report}`
    return [`test     ${openedText({ ...test, report: null })}${where}`, `next     ${serve}`]
  }
  if (test.cases === 0) return [`next     ${serve}`]
  return [
    `next     fiducial evaluate ${run_dir} --split test   (opens the test split; each look is counted)`,
    `         ${serve}`,
  ]
}
