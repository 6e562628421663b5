import { createHash } from 'node:crypto'
import type { Case } from '../schema/case.ts'
import { PREPROCESS_CODE_VERSION, type PreprocessSpec } from '../schema/preprocess.ts'
import type { PrepareConfig } from '../schema/recipe.ts'
import { canonicalJson } from '../storage/canonical_json.ts'
import { caseFiles } from './case_sources.ts'

/** A case and the SHA-256 of the file it was read from; null where the file could not be read. */
export interface CaseHash {
  case_id: string
  sha256: string | null
}

/**
 * Names a shard set: the preprocess spec, its code version and the ordered (case_id, source sha256); and where voxels are
 * deflated the bricks, as other bytes are another set.
 */
export function setId(
  preprocess: PreprocessSpec,
  codeVersion: number,
  stored: Iterable<CaseHash>,
  brick: readonly number[] | null,
): string {
  const head = { preprocess, code_version: codeVersion, ...(brick === null ? {} : { brick }) }
  return hashLines(head, pairs(stored))
}

/**
 * Names what a recipe asks for, unreadable files included and in any order: equal requests are answered by the same
 * set. It needs the sources' hashes but neither the resolved spec nor a decoded pixel.
 */
export function requestId(config: PrepareConfig, sources: readonly CaseHash[]): string {
  return hashLines(configKey(config), pairs(sources.toSorted(byCaseId)))
}

/** Names the keys of `prepare` that shape pixels, and the code version. */
export function configId(config: PrepareConfig): string {
  return hashLines(configKey(config), [])
}

/** Names a list of cases, whatever their order. */
export function caseListId(cases: readonly { case_id: string }[]): string {
  return hashLines('cases', cases.map((one) => one.case_id).sort())
}

/** Names unfinished work: everything known before the first file is read. */
export function stagingKey(
  config: PrepareConfig,
  cases: readonly Case[],
  updatedFrom: string | null,
): string {
  const layout = config.kind === 'image' ? { shard_mb: config.shard_mb } : {}
  return hashLines(
    { ...configKey(config), ...layout, updated_from: updatedFrom },
    cases.map((one) => [one.case_id, ...caseFiles(one)]),
  )
}

/** SHA-256 of a value and then of lines, one JSON text each, without holding them all. */
export function hashLines(head: unknown, lines: Iterable<unknown>): string {
  const hash = createHash('sha256').update(`${canonicalJson(head)}\n`)
  for (const line of lines) hash.update(`${canonicalJson(line)}\n`)
  return hash.digest('hex')
}

function configKey(config: PrepareConfig) {
  const { normalize: _, ...stored } = config
  const { shard_mb: __, ...pixels } = stored as typeof stored & { shard_mb?: number }
  return { prepare: pixels, code_version: PREPROCESS_CODE_VERSION }
}

function* pairs(cases: Iterable<CaseHash>): Generator<[string, string | null]> {
  for (const one of cases) yield [one.case_id, one.sha256]
}

const byCaseId = (a: CaseHash, b: CaseHash) => (a.case_id < b.case_id ? -1 : a.case_id > b.case_id ? 1 : 0)
