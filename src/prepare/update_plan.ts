import type { CaseHash } from './identity.ts'

/** A shard of the set that is updated. */
export interface BaseShard {
  name: string
  /** In row order. */
  cases: readonly CaseHash[]
}

export interface UpdatePlan {
  /** In shard order; `cases` null keeps the shard as it is, else it is made anew of these. */
  shards: { name: string; cases: string[] | null }[]
  /** New cases that go to shards of their own, in the order asked for. */
  appended: string[]
  added: number
  changed: number
  withdrawn: number
}

// Below this a last shard is filled up by the next update, so that frequent small updates do not leave many tiny shards.
const SMALL_SHARD = 64

/**
 * What an update touches: shards of changed or withdrawn cases are made again, new cases come after the others. No case
 * moves to another shard, so untouched shards keep their bytes.
 *
 * @param sources every case asked for, in the order of a new set, with the hash of its file as it is now
 * @param mostCases that a shard may hold
 */
export function planUpdate(
  base: readonly BaseShard[],
  sources: readonly CaseHash[],
  mostCases: number,
): UpdatePlan {
  const now = new Map(sources.map(({ case_id, sha256 }) => [case_id, sha256]))
  const stored = new Set(base.flatMap((shard) => shard.cases.map((one) => one.case_id)))
  const added = sources.map((one) => one.case_id).filter((id) => !stored.has(id))
  let changed = 0
  let withdrawn = 0
  const shards = base.map(({ name, cases }): UpdatePlan['shards'][number] => {
    const left = cases.filter((one) => now.has(one.case_id))
    const altered = left.filter((one) => now.get(one.case_id) !== one.sha256)
    changed += altered.length
    withdrawn += cases.length - left.length
    const isTouched = altered.length > 0 || left.length < cases.length
    return { name, cases: isTouched ? left.map((one) => one.case_id) : null }
  })
  let appended = added
  const last = shards.at(-1)
  const lastCases = last?.cases ?? base.at(-1)?.cases.map((one) => one.case_id) ?? []
  const room = Math.min(SMALL_SHARD, mostCases) - lastCases.length
  if (last && added.length > 0 && room > 0) {
    last.cases = [...lastCases, ...added.slice(0, room)]
    appended = added.slice(room)
  }
  return {
    shards: shards.filter((shard) => shard.cases === null || shard.cases.length > 0),
    appended,
    added: added.length,
    changed,
    withdrawn,
  }
}
