import { join } from 'node:path'
import { SPLIT_PARTS, type SplitPart } from '../schema/case.ts'
import { Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { PART_CODES, SplitTable, TableCase } from '../schema/shard_set.ts'
import { KeptPatient } from '../schema/staging.ts'
import { canonicalJson } from '../storage/canonical_json.ts'
import { listFolder, readBytes, readTextIfExists, sha256, stampFile, writeAtomic } from '../storage/local.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import type { Place } from './split.ts'
import { readLines } from './staging.ts'

/**
 * Where patients were before an update of the data set, for one split rule; empty when nothing is kept. All folds of
 * a cross-validation are one rule.
 */
export async function readKept(dir: string, rule: Split): Promise<Map<string, Place>> {
  const lines = (await readLines(join(dir, keptFile(rule)), KeptPatient)) ?? []
  return new Map(lines.map(({ patient_id, place }) => [patient_id, place]))
}

/**
 * Writes into a set where each patient of an earlier set is, for every split that was made of that: what was kept
 * there already, then what its newest tables say. Withdrawn patients stay listed, should they come back.
 */
export async function keepSplits(from: string, to: string): Promise<void> {
  const kept = new Map<string, { rule: Split; places: Map<string, Place> }>()
  for (const { rule, places } of await readTables(from)) {
    const file = keptFile(rule)
    const entry = kept.get(file) ?? { rule, places: await readKept(from, rule) }
    for (const [patient, place] of places) if (!entry.places.has(patient)) entry.places.set(patient, place)
    kept.set(file, entry)
  }
  for (const name of await listFolder(join(from, 'tables'))) {
    if (!name.startsWith('kept-') || kept.has(`tables/${name}`)) continue
    await writeAtomic(join(to, 'tables', name), (await readTextIfExists(join(from, 'tables', name)))!)
  }
  for (const [file, { places }] of kept) {
    const lines = [...places].sort(([a], [b]) => (a < b ? -1 : 1))
    const text = lines.map(([patient_id, place]) => `${JSON.stringify({ patient_id, place })}\n`)
    await writeAtomic(join(to, file), text.join(''))
  }
}

/** Splits made of a set, the newest first. */
async function readTables(dir: string): Promise<{ rule: Split; places: Map<string, Place> }[]> {
  const found = []
  for (const name of await listFolder(join(dir, 'tables'))) {
    if (!name.startsWith('split-')) continue
    const folder = join(dir, 'tables', name)
    const about = await readTextIfExists(join(folder, 'split.json'))
    const ruleText = await readTextIfExists(join(folder, 'rule.json'))
    if (about === null || ruleText === null) continue
    const table = parse(SplitTable, JSON.parse(about), join(folder, 'split.json'))
    const rule = Split.parse(JSON.parse(ruleText))
    const cases = await readLines(
      join(dir, `tables/labels-${table.labels_id.slice(0, 12)}/cases.jsonl`),
      TableCase,
    )
    if (cases === null) continue
    const path = join(folder, 'split.safetensors')
    const bytes = await readBytes(path)
    if (sha256(bytes) !== table.sha256)
      throw new UserError(
        `${path} is damaged: its SHA-256 is not the one in split.json.\n` +
          '  do: run "fiducial prepare" on the earlier data and split, which mends it; or delete that file\'s folder.',
      )
    const { part, fold } = await readSafetensors(bytes, path)
    const places = new Map<string, Place>()
    const inSeveral = new Set<string>()
    for (const [i, { patient_id }] of cases.entries()) {
      const place = fold === undefined ? PARTS[Number(part!.data[i])] : Number(fold.data[i])
      if (place === undefined) continue
      if (places.has(patient_id) && places.get(patient_id) !== place) inSeveral.add(patient_id)
      places.set(patient_id, place)
    }
    for (const patient of inSeveral) places.delete(patient)
    const written = BigInt((await stampFile(join(folder, 'split.json')))!.mtime_ns)
    found.push({ rule, places, written })
  }
  return found.sort((a, b) => (a.written > b.written ? -1 : 1))
}

const PARTS: Record<number, SplitPart> = Object.fromEntries(
  SPLIT_PARTS.map((part) => [PART_CODES[part], part]),
)

function keptFile(rule: Split): string {
  const { fold: _, ...same } = rule as Split & { fold?: number }
  return `tables/kept-${sha256(canonicalJson(same)).slice(0, 12)}.jsonl`
}
