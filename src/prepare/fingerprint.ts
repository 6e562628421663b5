import type { PreprocessSpec } from '../schema/preprocess.ts'
import type { Fingerprint } from '../schema/shard_set.ts'
import type { ShardReport } from '../schema/staging.ts'
import type { Statistics } from './statistics.ts'

/**
 * What the stored data look like, from the shards' reports.
 *
 * @param stored of each case, its shape
 */
export function fingerprint(
  preprocess: PreprocessSpec,
  reports: readonly ShardReport[],
  stored: readonly { shape: readonly number[] }[],
  statistics: Statistics,
): Fingerprint {
  const num_cases = reports.reduce((sum, { shard }) => sum + (shard?.num_cases ?? 0), 0)
  const source_formats = addCounts(reports.map((report) => report.formats))
  if (preprocess.kind === 'image')
    return {
      kind: 'images',
      num_cases,
      source_formats,
      source_height: range(addCounts(reports.map((report) => report.heights))),
      source_width: range(addCounts(reports.map((report) => report.widths))),
      ...statistics,
    }
  const volumes = reports.flatMap(({ volume }) => volume ?? [])
  return {
    kind: 'volumes',
    num_cases,
    source_formats,
    source_shape: ranges(volumes.map((one) => one.source_shape)),
    source_spacing_mm: ranges(volumes.map((one) => one.source_spacing_mm)),
    stored_shape: ranges(stored.map(({ shape }) => shape.slice(1))),
    spacing_mm: preprocess.spacing_mm,
    intensity: preprocess.intensity,
    ...statistics,
  }
}

/** Counts of several tallies together, keys sorted. */
export function addCounts(tallies: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total = new Map<string, number>()
  for (const tally of tallies)
    for (const [key, n] of Object.entries(tally)) total.set(key, (total.get(key) ?? 0) + n)
  return Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface Range {
  min: number
  median: number
  max: number
}

/** Of z, y and x. */
function ranges(triples: readonly (readonly number[])[]): [Range, Range, Range] {
  const of = (k: number) => range(addCounts(triples.map((one) => ({ [String(one[k])]: 1 }))))
  return [of(0), of(1), of(2)]
}

/** Smallest, middle and largest of values given as value → how often. */
function range(tally: Readonly<Record<string, number>>): Range {
  const values = Object.entries(tally)
    .map(([value, n]) => ({ value: Number(value), n }))
    .sort((a, b) => a.value - b.value)
  const total = values.reduce((sum, { n }) => sum + n, 0)
  const at = (position: number) => {
    let seen = 0
    for (const { value, n } of values) {
      seen += n
      if (seen > position) return value
    }
    return 0
  }
  return {
    min: at(0),
    median: (at(Math.floor((total - 1) / 2)) + at(Math.floor(total / 2))) / 2,
    max: at(total - 1),
  }
}
