import { SPLIT_PARTS, type SplitPart } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { Leak } from '../schema/results.ts'
import type { SplitTable } from '../schema/shard_set.ts'
import { count } from '../sources/source_data.ts'

/** Cases found to show the same thing, by whatever means; near-duplicates come in here beside equal bytes. */
export interface SameImages {
  kind: Exclude<Leak['kind'], 'same_patient'>
  /** Indices of cases. */
  cases: readonly number[]
}

/**
 * What the parts of a split share and must not: patients, and images found to be the same. A pair of cases that one
 * patient explains is named once, as that.
 *
 * @param parts of each case; null: in no part
 */
export function findLeaks(
  cases: readonly { case_id: string; patient_id: string }[],
  parts: readonly (SplitPart | null)[],
  same: readonly SameImages[] = [],
): Leak[] {
  const byPatient = new Map<string, number[]>()
  for (const [i, { patient_id }] of cases.entries()) {
    if (parts[i] === null) continue
    const found = byPatient.get(patient_id)
    if (found) found.push(i)
    else byPatient.set(patient_id, [i])
  }
  const leak = (kind: Leak['kind'], members: readonly number[]): Leak[] => {
    const splits = SPLIT_PARTS.filter((part) => members.some((i) => parts[i] === part))
    if (splits.length < 2) return []
    return [{ kind, case_ids: members.map((i) => cases[i]!.case_id).sort(), splits }]
  }
  const patients = [...byPatient.values()].flatMap((members) => leak('same_patient', members))
  const images = same.flatMap(({ kind, cases: members }) => {
    const used = members.filter((i) => parts[i] !== null)
    const isOnePatient = new Set(used.map((i) => cases[i]!.patient_id)).size === 1
    return isOnePatient ? [] : leak(kind, used)
  })
  return [...patients.sort(byFirstCase), ...images.sort(byFirstCase)]
}

/** Cases whose source files have equal bytes. */
export function sameBytes(sha256: readonly (string | null)[]): SameImages[] {
  const byHash = new Map<string, number[]>()
  for (const [i, hash] of sha256.entries()) {
    if (hash === null) continue
    const found = byHash.get(hash)
    if (found) found.push(i)
    else byHash.set(hash, [i])
  }
  return [...byHash.values()]
    .filter((cases) => cases.length > 1)
    .map((cases) => ({ kind: 'same_bytes', cases }))
}

/** Patients or images shared by each pair of parts: `train and test 15, val and test 9`. */
export function describeLeaks(leaks: readonly Leak[]): string {
  const counts = new Map<string, number>()
  for (const { splits } of leaks)
    for (const [i, a] of splits.entries())
      for (const b of splits.slice(i + 1)) counts.set(`${a} and ${b}`, (counts.get(`${a} and ${b}`) ?? 0) + 1)
  return [...counts].map(([pair, n]) => `${pair} ${n}`).join(', ')
}

/**
 * Stops training on a given split whose parts share patients or images: what is measured there is not what new
 * patients would see.
 *
 * @param options `allow_leaks` of the recipe's data: the user knows; every report then says so
 * @throws {UserError} naming the cases and counts
 */
export function refuseLeaks(
  split: Pick<SplitTable, 'kind' | 'leaks'>,
  { allow_leaks }: { allow_leaks: boolean },
): void {
  if (split.leaks.length === 0 || allow_leaks) return
  const leaks = split.leaks as Leak[]
  const patients = leaks.filter((leak) => leak.kind === 'same_patient')
  const images = leaks.filter((leak) => leak.kind !== 'same_patient')
  const found = [
    ...(patients.length > 0 ? [`${count(patients.length, 'patient')} (${describeLeaks(patients)})`] : []),
    ...(images.length > 0 ? [`${count(images.length, 'image')} (${describeLeaks(images)})`] : []),
  ]
  const shown = leaks.slice(0, 5).map(({ kind, case_ids, splits }) => {
    const more = case_ids.length > 4 ? ` and ${case_ids.length - 4} more` : ''
    return `  ${kind === 'same_patient' ? 'one patient' : 'one image'} in ${splits.join(' and ')}: cases ${case_ids.slice(0, 4).join(', ')}${more}`
  })
  if (leaks.length > shown.length)
    shown.push(`  … and ${leaks.length - shown.length} more; "fiducial inspect --json" lists all`)
  throw new UserError(
    `The parts of the given split share ${found.join(' and ')}: a model would be tested on what it was trained on.\n` +
      `${shown.join('\n')}\n` +
      '  do: split by patient instead, data.split: { val: 0.15, test: 0.2 }; or set data.allow_leaks: true, ' +
      'and every report will say so.',
  )
}

const byFirstCase = (a: Leak, b: Leak) => (a.case_ids[0]! < b.case_ids[0]! ? -1 : 1)
