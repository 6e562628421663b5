import { type Command, Option } from 'commander'
import { UserError } from '../../schema/errors.ts'
import type { PrepareDryRun, PrepareResult, PrepareSliceResult } from '../../schema/results.ts'
import { command } from '../command.ts'
import { count } from '../table.ts'

type Result = PrepareResult | PrepareSliceResult | PrepareDryRun
interface Own {
  update?: boolean
  verify?: boolean
  slice?: string
  merge?: boolean
}

export function prepareCommand(): Command {
  return command<Result, Own>({
    name: 'prepare',
    arguments: ['<recipe>'],
    summary: 'decode, resample and shard the images of a recipe',
    description:
      'Decodes, resamples and shards the images of a recipe into prepared/<set>, or the folder of --out. A set that is ' +
      'there is found and not made again; a run that was stopped or killed is continued.',
    examples: [
      'fiducial prepare recipe.yaml',
      'fiducial prepare recipe.yaml --update        # the data grew: keep shards and split',
      'fiducial prepare recipe.yaml --slice 2/8     # on one of 8 machines that share the folder',
    ],
    flags: ['set', 'workers', 'out', 'dry-run'],
    options: [
      new Option(
        '--update',
        'add, change or withdraw cases of an earlier set; patients keep their split',
      ).conflicts(['slice', 'merge']),
      new Option('--slice <i/n>', 'make every n-th shard; the last slice to finish publishes the set'),
      new Option('--merge', 'publish what slices have made, and make nothing').conflicts('slice'),
      new Option('--verify', 'check every byte of a set that is there, and make damaged shards again'),
    ],
    async action({ args: [path], flags, io }) {
      refuseMixed(flags)
      const { loadRecipe } = await import('../../verbs/load_recipe.ts')
      const { planPrepare, prepare, prepareOneSlice } = await import('../../verbs/prepare.ts')
      const { workers, out, update = false, merge = false, verify = false } = flags
      const options = { workers, out, update, merge, verify }
      const loaded = await loadRecipe(path!, flags.set)
      if (flags.dryRun) return planPrepare(loaded, options, io)
      if (flags.slice !== undefined) return prepareOneSlice(loaded, { ...options, slice: flags.slice }, io)
      return (await prepare(loaded, options, io)).result
    },
    print: (result, { flags: { merge } }) =>
      'dry_run' in result
        ? dryRunText(result)
        : 'slice' in result
          ? sliceText(result)
          : setText(result, merge ? MERGED : MADE),
    attention: attentionText,
  })
}

/** What a plan does not know, and a slice does not do: better refused than left out. */
function refuseMixed({ dryRun, slice, update, merge, verify }: Own & { dryRun: boolean }): void {
  const given = [
    slice !== undefined && '--slice',
    update && '--update',
    merge && '--merge',
    verify && '--verify',
  ].filter((flag) => typeof flag === 'string')
  if (dryRun && given.length > 0)
    throw new UserError(`--dry-run plans a whole new set: it does not go with ${given.join(' and ')}.`)
  if (slice !== undefined && verify)
    throw new UserError('--verify checks a whole set: run "fiducial prepare --verify" without --slice.')
  if (merge && verify)
    throw new UserError('--merge makes nothing, and --verify may have to: run one after the other.')
}

/** Files left out within `data.max_quarantined`: the set is there, but someone should look. */
function attentionText(result: Result): string | null {
  const set = 'dry_run' in result ? null : 'slice' in result ? result.set : result
  return set === null ? null : quarantineText(set)
}

/** Null where every case could be read. */
export function quarantineText({ quarantined, out }: PrepareResult): string | null {
  const left = quarantined.length
  return left === 0
    ? null
    : `The set is made without ${left} ${left === 1 ? 'case' : 'cases'} whose file could not be read; ${out}/quarantine.jsonl says which and why.\n` +
        '  do: mend the files and run prepare again with --update, or leave them out of the table.'
}

/** How the set came about, in words; a repaired one speaks for itself. */
const MADE = {
  reused: () => 'It was there already; no pixel was made.',
  fresh: ({ seconds, cases_per_second }: PrepareResult) =>
    `${seconds.toFixed(1)} s, ${cases_per_second.toFixed(0)} cases a second`,
}
const MERGED: typeof MADE = {
  reused: () => 'It was published already; nothing is left to merge.',
  fresh: () => 'Published what was made before; no pixel was made.',
}

function setText(result: PrepareResult, says = MADE): string {
  const { cases, shards, bytes, out, reused, repaired, quarantined } = result
  const lines = [`${count(cases, 'case')} in ${count(shards, 'shard')}, ${size(bytes)}: ${out}`]
  if (repaired > 0)
    lines.push(`${repaired} of them ${repaired === 1 ? 'was' : 'were'} damaged and made again.`)
  else lines.push(reused ? says.reused() : says.fresh(result))
  if (quarantined.length > 0)
    lines.push(
      `${quarantined.length} could not be read and ${quarantined.length === 1 ? 'is' : 'are'} left out:`,
      ...quarantined.slice(0, 5).map(({ file, reason }) => `  ${file}: ${reason.split('\n')[0]}`),
      ...(quarantined.length > 5 ? [`  … and ${quarantined.length - 5} more in quarantine.jsonl`] : []),
    )
  return lines.join('\n')
}

function sliceText({ slice, shards, cases, missing_shards, staging, set }: PrepareSliceResult): string {
  const own = `Slice ${slice}: ${count(cases, 'case')} in ${count(shards, 'shard')}.`
  if (set !== null) return `${own} It was the last.\n${setText(set)}`
  return `${own} ${count(missing_shards, 'shard')} ${missing_shards === 1 ? 'is' : 'are'} left to other slices; the last to finish publishes the set.\n  in: ${staging}`
}

function dryRunText({ cases, shards, bytes, out, free_bytes, reused }: PrepareDryRun): string {
  if (reused)
    return `Nothing to do: ${count(cases, 'case')} in ${count(shards, 'shard')}, ${size(bytes)}, ${cases === 1 ? 'is' : 'are'} in ${out}`
  const free = free_bytes === null ? '' : `; ${size(free_bytes)} are free`
  return `Would make ${count(cases, 'case')} in ${count(shards, 'shard')}, ${size(bytes)}${free}, below ${out}`
}

const size = (bytes: number) =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`
