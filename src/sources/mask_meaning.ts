import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import type { SegmentTask } from '../schema/task.ts'

/**
 * Checks that a task's labels or regions mean what the data set says: a value that stands for something else there
 * trains without complaint and measures nonsense.
 *
 * @param maskValues value → name, from dataset.json
 * @throws {UserError} listing every difference and what the data set has
 */
export function assertMeaning(task: SegmentTask, maskValues: ReadonlyMap<number, string>): void {
  const mistakes =
    task.labels !== undefined ? ofLabels(task.labels, maskValues) : ofRegions(task.regions!, maskValues)
  if (mistakes.length === 0) return
  const has = [...maskValues]
    .filter(([value]) => value !== 0)
    .map(([value, name]) => `${quoted(name)}: ${value}`)
  throw new UserError(
    `task does not fit dataset.json:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}\n` +
      `  do: dataset.json has { ${has.join(', ')} }; write the names and values as they are there.`,
  )
}

function ofLabels(
  labels: Readonly<Record<string, number>>,
  maskValues: ReadonlyMap<number, string>,
): string[] {
  const valueNamed = new Map([...maskValues].map(([value, name]) => [plain(name), value]))
  return Object.entries(labels).flatMap(([name, value]) => {
    const found = maskValues.get(value)
    if (found !== undefined && plain(found) === plain(name)) return []
    const theirs = valueNamed.get(plain(name))
    if (theirs !== undefined)
      return [
        `task.labels.${name} is ${value}; dataset.json calls ${theirs} so${found === undefined ? '' : `, and ${value} is "${found}"`}.`,
      ]
    const near = nearest(name, [...maskValues.values()])
    return [
      `task.labels.${name}: dataset.json has no such label${near ? `; did you mean "${near}"?` : ''}${found === undefined ? '' : ` Its ${value} is "${found}".`}`,
    ]
  })
}

function ofRegions(
  regions: Readonly<Record<string, readonly number[]>>,
  maskValues: ReadonlyMap<number, string>,
): string[] {
  return Object.entries(regions).flatMap(([name, values]) => {
    const unknown = values.filter((value) => !maskValues.has(value))
    if (unknown.length > 0) return [`task.regions.${name}: dataset.json has no label ${unknown.join(', ')}.`]
    const twice = values.filter((value, i) => values.indexOf(value) < i)
    if (twice.length > 0) return [`task.regions.${name} names ${twice.join(', ')} twice.`]
    const rule = BRATS[plain(name)]
    if (rule === undefined) return []
    const wrong = values.filter((value) => !rule.holds(maskValues.get(value)!))
    const missing = [...maskValues].filter(
      ([value, meaning]) => value !== 0 && rule.holds(meaning) && !values.includes(value),
    )
    return [
      ...wrong.map(
        (value) => `task.regions.${name} is ${rule.is}, but ${value} is "${maskValues.get(value)}".`,
      ),
      ...missing.map(
        ([value, meaning]) => `task.regions.${name} is ${rule.is}; ${value} ("${meaning}") belongs to it.`,
      ),
    ]
  })
}

const isEdema = (meaning: string) => /o?edema/i.test(meaning)
const isEnhancing = (meaning: string) => /enhanc/i.test(meaning) && !/non.?enhanc|not.?enhanc/i.test(meaning)
const whole = { is: 'the whole tumour', holds: () => true }
const core = { is: 'the tumour core', holds: (meaning: string) => !isEdema(meaning) }
const enhancing = { is: 'the enhancing tumour', holds: isEnhancing }
/** The regions that BraTS is scored on (Menze et al., IEEE TMI 34, 2015): their values differ between its releases. */
const BRATS: Record<string, { is: string; holds(meaning: string): boolean }> = {
  wt: whole,
  'whole tumor': whole,
  'whole tumour': whole,
  tc: core,
  'tumor core': core,
  'tumour core': core,
  et: enhancing,
  'enhancing tumor': enhancing,
  'enhancing tumour': enhancing,
}

/**
 * The regions of BraTS, outermost first, where the values are named as in one of its releases; null where they are not.
 */
export function regionsOfBrats(maskValues: ReadonlyMap<number, string>): Record<string, number[]> | null {
  const parts = [...maskValues].filter(([value]) => value !== 0)
  if (!parts.some(([, name]) => isEdema(name)) || !parts.some(([, name]) => isEnhancing(name))) return null
  const of = ({ holds }: { holds(meaning: string): boolean }) =>
    parts.filter(([, name]) => holds(name)).map(([value]) => value)
  return { WT: of(whole), TC: of(core), ET: of(enhancing) }
}

const plain = (name: string) =>
  name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
const quoted = (name: string) => (/^[\w.]+$/.test(name) ? name : JSON.stringify(name))
