import { createHash } from 'node:crypto'
import type { Labels } from '../schema/case.ts'

/** What must not be torn apart: the cases of one patient, or of several who share an image. */
export interface Unit {
  /** Names the unit; with the seed it decides the order of drawing. */
  key: string
  /** Patients in it. */
  patients: number
  /** What it counts towards: a stratum is spread over the bins in proportion. */
  strata: readonly string[]
}

/**
 * Iterative stratification over whole units: the rarest stratum is dealt out first, each unit of it to the bin that
 * lacks that stratum most, then the bin that lacks patients most. No bin takes more patients than its target, so the
 * sizes are as asked. A stratum of at least as many patients as there are bins is wanted once in each, however small
 * the bin's share; it may miss one only where its patients stick together or were dealt out for a rarer stratum.
 *
 * @param targets patients wanted in each bin; their sum is at least all patients
 * @param placed units that are already in a bin, e.g. from an earlier split: they count and are not moved
 * @returns the bin of each of `units`
 * @see Sechidis, Tsoumakas, Vlahavas, ECML PKDD 2011, 145–158
 */
export function stratify(
  units: readonly Unit[],
  targets: readonly number[],
  seed: number,
  placed: readonly { unit: Unit; bin: number }[] = [],
): number[] {
  const draw = units.map((unit) => createHash('sha256').update(`${seed}\n${unit.key}`).digest('hex'))
  const order = units.map((_, i) => i).sort((a, b) => (draw[a]! < draw[b]! ? -1 : 1))
  const share = targets.map((target) => target / Math.max(1, sum(targets)))

  const wantedPatients = [...targets]
  const wantedStratum = new Map<string, number[]>()
  const open = new Map<string, Set<number>>()
  for (const stratum of new Set([...units, ...placed.map((p) => p.unit)].flatMap((unit) => unit.strata))) {
    wantedStratum.set(
      stratum,
      share.map(() => 0),
    )
    open.set(stratum, new Set())
  }
  const wish = (unit: Unit) => {
    for (const stratum of unit.strata) {
      const wanted = wantedStratum.get(stratum)!
      for (const [bin, part] of share.entries()) wanted[bin]! += part * unit.patients
    }
  }
  const take = (unit: Unit, bin: number) => {
    wantedPatients[bin]! -= unit.patients
    for (const stratum of unit.strata) wantedStratum.get(stratum)![bin]! -= unit.patients
  }
  for (const i of order) {
    wish(units[i]!)
    for (const stratum of units[i]!.strata) open.get(stratum)!.add(i)
  }
  for (const { unit } of placed) wish(unit)
  for (const [stratum, wanted] of wantedStratum) wantedStratum.set(stratum, onceInEach(wanted, targets))
  for (const { unit, bin } of placed) take(unit, bin)

  const bins = new Array<number>(units.length).fill(-1)
  const place = (i: number, stratum: string | null) => {
    const unit = units[i]!
    const lacking = stratum === null ? wantedPatients : wantedStratum.get(stratum)!
    const bin = emptiest(unit, lacking, wantedPatients, draw[i]!)
    bins[i] = bin
    take(unit, bin)
    for (const s of unit.strata) open.get(s)!.delete(i)
  }
  for (;;) {
    const rarest = [...open]
      .filter(([, left]) => left.size > 0)
      .sort(([a, left], [b, right]) => left.size - right.size || (a < b ? -1 : 1))[0]
    if (!rarest) break
    // Units of several patients first: they are the hardest to fit.
    const left = [...rarest[1]].sort((a, b) => units[b]!.patients - units[a]!.patients)
    for (const i of left) place(i, rarest[0])
  }
  for (const i of order) if (bins[i] === -1) place(i, null)
  return bins
}

/** Raises what is wanted to one patient in each bin that is asked for, the others giving in proportion, if there are enough. */
function onceInEach(wanted: readonly number[], targets: readonly number[]): number[] {
  const total = sum(wanted)
  let others = targets.flatMap((target, bin) => (target > 0 ? [bin] : []))
  const numAsked = others.length
  if (total < numAsked - ROUNDING) return [...wanted]
  for (;;) {
    const left = total - (numAsked - others.length)
    const scale = left / sum(others.map((bin) => wanted[bin]!))
    const enough = others.filter((bin) => wanted[bin]! * scale >= 1 - ROUNDING)
    if (enough.length === others.length)
      return wanted.map((want, bin) => (others.includes(bin) ? want * scale : targets[bin]! > 0 ? 1 : want))
    others = enough
  }
}

/** Far above the rounding of a sum of shares, far below a patient. */
const ROUNDING = 1e-9

/** The bin with room that lacks the stratum most, then patients most, then as drawn; without room anywhere, the emptiest. */
function emptiest(
  unit: Unit,
  lacking: readonly number[],
  wantedPatients: readonly number[],
  draw: string,
): number {
  const all = wantedPatients.map((_, bin) => bin)
  const withRoom = all.filter((bin) => wantedPatients[bin]! >= unit.patients)
  const eligible = withRoom.length > 0 ? withRoom : all
  const criterion = withRoom.length > 0 ? lacking : wantedPatients
  const tie = (bin: number) => (Number.parseInt(draw.slice(0, 8), 16) + bin) % all.length
  return eligible.reduce((best, bin) => {
    const gain =
      criterion[bin]! - criterion[best]! ||
      wantedPatients[bin]! - wantedPatients[best]! ||
      tie(bin) - tie(best)
    return gain > 0 ? bin : best
  })
}

/** Patients for each share, whole, summing to `patients`: largest remainders, and at least one where a share is asked. */
export function wholeTargets(patients: number, shares: readonly number[]): number[] {
  const targets = shares.map((share) => (share > 0 ? Math.max(1, Math.floor(share * patients + 1e-9)) : 0))
  const remainder = (i: number) => shares[i]! * patients - targets[i]!
  while (sum(targets) < patients) {
    const most = largest(shares, remainder)
    targets[most]!++
  }
  while (sum(targets) > patients) {
    const least = largest(shares, (i) => (targets[i]! > 1 ? -remainder(i) : Number.NEGATIVE_INFINITY))
    targets[least]!--
  }
  return targets
}

/** Strata of a unit: each label seen positive, each seen negative, and how many cases it has, in powers of two. */
export function strataOf(cases: readonly { labels: Labels }[]): string[] {
  const strata = new Set<string>([`cases ${Math.floor(Math.log2(cases.length))}`])
  for (const { labels } of cases)
    for (const [label, value] of Object.entries(labels)) if (value !== null) strata.add(`${label} = ${value}`)
  return [...strata].sort()
}

function largest(items: readonly unknown[], value: (i: number) => number): number {
  return items.reduce<number>((best, _, i) => (value(i) > value(best) ? i : best), 0)
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
