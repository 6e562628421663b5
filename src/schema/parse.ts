import type { z } from 'zod'
import { SchemaError } from './errors.ts'
import { VOLUME_MODELS } from './model.ts'
import { Recipe } from './recipe.ts'

/**
 * A recipe from its parsed YAML, every default filled. Bare names become `{ kind: name }`.
 *
 * @param where named in the error, usually the file
 * @throws {SchemaError} listing every mistake at once, each with its path and the nearest known key
 */
export function parseRecipe(value: unknown, where: string): Recipe {
  return parse(Recipe, expandNames(value), where)
}

/** Parses `value`, or throws a SchemaError that lists every mistake with its path. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  const lines = explainIssues(result.error.issues, schema, value).map((line) => `  ${line}`)
  const noun = lines.length === 1 ? 'mistake' : 'mistakes'
  throw new SchemaError(`${lines.length} ${noun} in ${where}:\n${lines.join('\n')}`)
}

/** Where a variant may be its bare name. */
export const BARE_NAMES: readonly (readonly string[])[] = [
  ['data', 'source'],
  ['model'],
  ['train', 'optimizer'],
  ['train', 'loss'],
  ['train', 'schedule'],
  ['launch'],
  ['task'],
]

/**
 * A variant is a name or `{ kind: name, … }`. `auto` stays a name. Options without a kind are of the default kind, so
 * that `launch: { processes_per_node: 2 }` says enough.
 */
function expandNames(value: unknown): unknown {
  if (!isObject(value)) return value
  const copy = structuredClone(value)
  for (const path of BARE_NAMES) {
    const key = path.at(-1)!
    const parent = path.slice(0, -1).reduce<unknown>((at, k) => (isObject(at) ? at[k] : undefined), copy)
    if (isObject(parent) && typeof parent[key] === 'string' && parent[key] !== 'auto')
      parent[key] = { kind: parent[key] }
    const kind = defaultKind(path)
    if (isObject(parent) && isObject(parent[key]) && kind !== undefined)
      if (!('kind' in parent[key] || 'file' in parent[key])) parent[key] = { kind, ...parent[key] }
  }
  const kind = isOfVolumes(copy) ? 'volume' : 'image'
  for (const key of ['prepare', 'augment']) {
    const options = copy[key] ?? {}
    if (isObject(options) && !('kind' in options)) copy[key] = { kind, ...options }
  }
  const classifies = isObject(copy.task) && copy.task.kind === 'classify'
  if (kind === 'volume') copy.model ??= { kind: classifies ? 'resnet3d' : 'unet3d' }
  return copy
}

/** Sources that hold nothing but volumes, and keys that only volumes have, tell what a recipe is about. */
const VOLUME_SOURCES = ['decathlon', 'nnunet', 'phantom_volumes']
const VOLUME_KEYS = ['spacing_mm', 'orientation', 'intensity', 'crop', 'compression']

function isOfVolumes({ data, prepare, task, model }: Record<string, unknown>): boolean {
  if (isObject(prepare) && 'kind' in prepare) return prepare.kind === 'volume'
  // A 2D image is segmented as a volume of one slice.
  if (isObject(task) && task.kind === 'segment') return true
  const source = isObject(data) && isObject(data.source) ? data.source.kind : undefined
  const isClassify = isObject(task) && task.kind === 'classify'
  if (isClassify && isObject(model) && VOLUME_MODELS.some((known) => known === model.kind)) return true
  return (
    VOLUME_SOURCES.some((known) => known === source) ||
    (isObject(prepare) &&
      (VOLUME_KEYS.some((key) => key in prepare) ||
        (Array.isArray(prepare.size) && prepare.size.length === 3)))
  )
}

/** The kind that the schema fills in where the recipe says nothing. */
function defaultKind(path: readonly string[]): unknown {
  const wrapper = path.reduce<z.ZodType | undefined>((at, key) => at && unwrapped(at).shape?.[key], Recipe)
  const value = wrapper && def(wrapper).defaultValue
  return isObject(value) ? value.kind : undefined
}

function unwrapped(schema: z.ZodType): Def {
  const d = def(schema)
  return d.innerType ? unwrapped(d.innerType) : d
}

function explainIssues(issues: readonly z.core.$ZodIssue[], root: z.ZodType, value: unknown): string[] {
  return issues
    .filter((issue, i) => !issues.slice(i + 1).some((later) => isSameBound(issue, later)))
    .flatMap((issue) => explainIssue(issue, [], root, value))
}

/** A whole number past 2^53 breaks that bound and its own, which comes later. */
const isSameBound = (a: z.core.$ZodIssue, b: z.core.$ZodIssue) =>
  (a.code === 'too_big' || a.code === 'too_small') && a.code === b.code && name(a.path) === name(b.path)

function explainIssue(
  issue: z.core.$ZodIssue,
  prefix: PropertyKey[],
  root: z.ZodType,
  value: unknown,
): string[] {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const alternatives = issue.errors.map((branch) =>
      branch.length === 1 && branch[0]!.path.length === 0 ? expectation(branch[0]!) : null,
    )
    if (alternatives.every((words) => words !== null)) return [mistake(path, alternatives.flat(), value)]
    // The branch that the user most likely meant: the fewest mistakes, unknown keys weighing more, another kind most.
    const cost = (branch: z.core.$ZodIssue[]) =>
      branch.reduce(
        (sum, i) =>
          sum +
          (i.code === 'unrecognized_keys'
            ? 2 * i.keys.length
            : (i.path.length === 0 && i.code !== 'custom') || i.path[0] === 'kind'
              ? 10
              : 1),
        0,
      )
    const best = issue.errors.reduce((a, b) => (cost(b) < cost(a) ? b : a))
    return best.flatMap((inner) => explainIssue(inner, path, root, value))
  }
  const at = name(path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const elsewhere = whereKnown(key, root, path, value)
      if (elsewhere !== null) return `${name([...path, key])}: ${elsewhere}`
      const near = nearest(key, knownKeys(root, path))
      return `${[...path, quoted(key).slice(1, -1)].map(String).join('.')}: unknown key${near ? `; did you mean "${near}"?` : ''}`
    })
  }
  if (issue.code === 'invalid_union' && 'note' in issue) {
    const options = discriminators(root, path)
    const found = valueAt(value, path)
    const near = typeof found === 'string' ? nearest(found, options) : undefined
    return [
      `${at}: ${found === undefined ? 'is missing' : `${quoted(found)} is not known`}` +
        `${options.length ? `; one of ${options.join(', ')}` : ''}${near ? `; did you mean "${near}"?` : ''}`,
    ]
  }
  const expected = expectation(issue)
  if (expected === null) return [`${at}: ${issue.message}`]
  const found = valueAt(value, path)
  const near =
    issue.code === 'invalid_value' && typeof found === 'string' && nearest(found, issue.values.map(String))
  return [`${mistake(path, expected, value)}${near ? `; did you mean "${near}"?` : ''}`]
}

function mistake(path: readonly PropertyKey[], either: readonly string[], value: unknown): string {
  const expected = orList([...new Set(either)])
  const found = valueAt(value, path)
  return found === undefined
    ? `${name(path)}: is missing; expected ${expected}`
    : `${name(path)}: expected ${expected}, found ${found === null ? 'nothing' : quoted(found)}`
}

const name = (path: readonly PropertyKey[]) => (path.length > 0 ? path.map(String).join('.') : '(top level)')
const orList = (words: readonly string[]) =>
  words.length < 3 ? words.join(' or ') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`

/** What would have been right, in plain words, any of them; null for a check that has a message of its own. */
function expectation(issue: z.core.$ZodIssue): string[] | null {
  switch (issue.code) {
    case 'invalid_type':
      return [TYPES[issue.expected] ?? issue.expected]
    case 'invalid_value':
      return issue.values.map(String)
    case 'too_small':
      return [
        `${issue.exact ? 'exactly' : issue.inclusive === false ? 'more than' : 'at least'} ${amount(issue.minimum, issue.origin)}`,
      ]
    case 'too_big':
      return [
        `${issue.exact ? 'exactly' : issue.inclusive === false ? 'less than' : 'at most'} ${amount(issue.maximum, issue.origin)}`,
      ]
    case 'invalid_format':
      return [issue.message.startsWith('Invalid') ? `text of the form ${issue.pattern}` : issue.message]
    default:
      return null
  }
}

const TYPES: Record<string, string> = {
  number: 'a number',
  int: 'a whole number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'keys with values',
  record: 'keys with values',
}

function amount(limit: number | bigint, origin: string): string {
  const noun = { string: 'character', array: 'entry', tuple: 'entry' }[origin]
  if (noun === undefined) return String(limit)
  return `${limit} ${Number(limit) === 1 ? noun : noun.replace(/y$/, 'ie').concat('s')}`
}

/** A value as it is quoted in a message: on one line; of more than 80 characters the middle is left out. */
export function quoted(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length <= 80 ? text : `${text.slice(0, 39)}…${text.slice(-40)}`
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      at !== null && typeof at === 'object' ? (at as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  )
}

type Def = {
  type: string
  innerType?: z.ZodType
  options?: z.ZodType[]
  shape?: Record<string, z.ZodType>
  element?: z.ZodType
  discriminator?: string
  defaultValue?: unknown
  values?: unknown[]
}
const def = (schema: z.ZodType) => schema._zod.def as unknown as Def

/** The schema's alternatives at a path, wrappers and unions opened. */
function schemasAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType[] {
  const d = def(schema)
  if (d.innerType) return schemasAt(d.innerType, path)
  if (d.options) return d.options.flatMap((option) => schemasAt(option, path))
  if (path.length === 0) return [schema]
  const [key, ...rest] = path
  const next = d.shape?.[String(key)] ?? d.element
  return next ? schemasAt(next, rest) : []
}

function knownKeys(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  return schemasAt(root, path).flatMap((schema) => Object.keys(def(schema).shape ?? {}))
}

/** Of a key that is known in another variant than the one given: what it goes with; null of one that no variant has. */
function whereKnown(
  key: string,
  root: z.ZodType,
  path: readonly PropertyKey[],
  value: unknown,
): string | null {
  const shapes = schemasAt(root, path)
    .map((schema) => def(schema).shape)
    .filter((shape) => shape !== undefined)
  const having = shapes.filter((shape) => Object.hasOwn(shape, key))
  if (having.length === 0) return null
  const given = valueAt(value, path)
  const kinds = having.flatMap(({ kind }) => (kind === undefined ? [] : (def(kind).values ?? []).map(String)))
  const kind = isObject(given) ? given.kind : undefined
  if (kinds.length === having.length && kind !== undefined)
    return `is no key of kind ${quoted(kind)}; ${orList([...new Set(kinds)])} ${new Set(kinds).size === 1 ? 'has' : 'have'} it`
  const others = isObject(given)
    ? Object.keys(given).filter((other) => !having.some((shape) => Object.hasOwn(shape, other)))
    : []
  return others.length === 0
    ? 'does not go with the other keys here'
    : `${key} and ${others.join(', ')} exclude each other; write one of them`
}

/** Values that a discriminator key takes over all branches; `path` ends with that key. */
function discriminators(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  return [...new Set(schemasAt(root, path).flatMap((schema) => (def(schema).values ?? []).map(String)))]
}

/** The known word most like `word`, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = [...new Set(known)]
    .map((k) => [editDistance(word.toLowerCase(), k.toLowerCase()), k] as const)
    .sort((a, b) => a[0] - b[0])
  const first = ranked[0]
  return first && first[0] <= Math.max(2, Math.floor(word.length / 3)) ? first[1] : undefined
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
