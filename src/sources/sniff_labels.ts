/** What a set of class names most likely means. */
export interface ClassGuess {
  labels: string[]
  negative: string[]
  unknown: string[]
  exclusive: boolean
  /** What the guess rests on, for the user to confirm. */
  why: string
}

const NEGATIVE =
  /^(normal|negative|neg|none|no|n|0|false|healthy|benign|control|controls|absent|clear|no[ _-]?findings?|no[ _-]?disease|non[ _-].+|without[ _-].+)$/i
const UNKNOWN = /^(|nan|na|n\/a|null|unknown|unk|uncertain|unsure|undetermined|missing|\?|-1|-1\.0)$/i

export function isNegativeWord(value: string): boolean {
  return NEGATIVE.test(value)
}

export function isUnknownWord(value: string): boolean {
  return UNKNOWN.test(value)
}

/**
 * Labels from class names, of which each image has one. Two classes of which one says that nothing was found make
 * one binary label; otherwise the classes exclude each other.
 */
export function guessClasses(names: readonly string[]): ClassGuess {
  const unknown = names.filter(isUnknownWord)
  const classes = sortedClasses(names.filter((name) => !isUnknownWord(name)))
  const negative = classes.filter(isNegativeWord)
  if (classes.length === 2 && negative.length === 1) {
    const positive = classes.find((name) => name !== negative[0])!
    return {
      labels: [positive],
      negative,
      unknown,
      exclusive: false,
      why: `one binary label: "${positive}" is the finding, "${negative[0]}" its absence`,
    }
  }
  if (classes.length === 1)
    return {
      labels: classes,
      negative: [],
      unknown,
      exclusive: false,
      why: `one class only, "${classes[0]}": nothing can be learnt until there are cases without it`,
    }
  return {
    labels: classes,
    negative: [],
    unknown,
    exclusive: true,
    why: `${classes.length} classes that exclude each other`,
  }
}

/**
 * Labels from cells that hold several, such as 'Effusion|Mass', most frequent first.
 *
 * @param counts token → cells that hold it
 */
export function guessFindings(counts: ReadonlyMap<string, number>): ClassGuess {
  const ranked = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name)
  const unknown = ranked.filter(isUnknownWord)
  const negative = ranked.filter((name) => isNegativeWord(name) && !isUnknownWord(name))
  const labels = ranked.filter((name) => !isNegativeWord(name) && !isUnknownWord(name))
  return {
    labels,
    negative,
    unknown,
    exclusive: false,
    why: `${labels.length} findings, several of which may hold for one image`,
  }
}

/** Numbers by value, words by alphabet: a fixed order of outputs. */
function sortedClasses(names: readonly string[]): string[] {
  const isNumeric = names.every((name) => name !== '' && Number.isFinite(Number(name)))
  return [...names].sort((a, b) => (isNumeric ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0))
}
