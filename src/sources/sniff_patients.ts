export interface PatientPattern {
  /** For `data.source.patient` of a folder. */
  pattern: string
  patients: number
  /** Paths that the pattern matches; the others count as a patient each. */
  matched: number
  why: string
}

const WORDS = 'patient|subject|participant|person|subj|pat|sub|pt|p'
/** Words that mean a patient in the middle of a name too, where `sub` and `p` may be a part of a picture. */
const INNER = '(?:patient|subject|participant|person|pat)[ _-]?\\d|p[ _-]?\\d{3}'
/** A name up to its last number, when that part holds a number itself: 'NORMAL2-IM-0596-0001' → 'NORMAL2-IM-0596'. */
const SERIES = '[^/]*\\d[^/]*?'
/** One number that counts within a patient, with its word: '_0001', '-4', '_Row_451', '_sub3'. */
const COUNTER = '[-_](?:[A-Za-z]{1,12}[-_]?)?\\d+'
const ENDING = '(?:\\.[^./]+)?$'
const YEAR = '(?:19|20)\\d\\d'
const MONTH = '[-_.]?(?:0[1-9]|1[0-2])'
const DAY = '[-_.]?(?:[0-2]\\d|3[01])'
/** What groups images but is nobody: days, sites, folds. */
const NOBODY = new RegExp(
  `^(?:\\D*${YEAR}(?:${MONTH})?(?:${DAY})?\\D*|(?:site|cent(?:er|re)|hospital|scanner|device|batch|fold|part|set|group|class)[ _-]?\\d+)$`,
  'i',
)

interface Candidate {
  pattern: string
  why: string
}

/**
 * A pattern that finds the patient in the paths, or null when no pattern is clear. Clear is: it matches nearly all
 * paths, some patients have several images, and none has most of them. Failing that, a word such as `patient` before
 * numbers is proposed where it stands in a part of the paths only.
 *
 * Where file names end in several numbers, the coarsest clear reading is taken: tiles of one slide or studies of one
 * patient that count as several patients leak from training into the test, the reverse does not.
 *
 * @param classDepth folders down to the class; a folder below may be a patient's. Null where folders tell nothing
 */
export function guessPatientPattern(
  paths: readonly string[],
  classDepth: number | null,
): PatientPattern | null {
  const named = wordsBeforeNumbers(paths)
  const classes = new Set(classDepth === null ? [] : paths.map((path) => path.split('/')[classDepth - 1]))
  const clear = ({ pattern, why }: Candidate): PatientPattern[] => {
    const { ids, matched, largest } = countPatients(new RegExp(pattern, 'u'), paths)
    const nobody = ids.filter((id) => NOBODY.test(id)).length
    const isPatient = ids.length > classes.size && nobody < ids.length / 2
    return isPatient && matched >= 0.98 * paths.length && isClear(ids.length, largest, paths.length)
      ? [{ pattern, patients: ids.length, matched, why }]
      : []
  }
  const words = named ? [{ pattern: named, why: 'a word and a number in the paths' }] : []
  const folders = classDepth === null ? [] : [folderBelow(classDepth)]
  const mixed = named
    ? [
        {
          pattern: `(?:${named}|(?:^|/)(${SERIES})[-_]\\d+${ENDING})`,
          why: 'a word and a number where there is one, else file names up to their last number',
        },
      ]
    : []
  for (const candidate of [...words, ...folders, ...mixed]) {
    const [found] = clear(candidate)
    if (found) return found
  }
  for (const start of nameStarts(paths, classDepth)) {
    const [coarsest, ...finer] = [3, 2, 1].flatMap((counters) => clear(withoutCounters(start, counters)))
    if (coarsest === undefined) continue
    const other = finer.find(({ patients }) => patients !== coarsest.patients)
    const doubt = other ? ` (up to a later number it would be ${other.patients})` : ''
    return { ...coarsest, why: coarsest.why + doubt }
  }
  if (!named) return null
  const { ids, matched, largest } = countPatients(new RegExp(named, 'u'), paths)
  return matched >= 0.1 * paths.length && isClear(ids.length, largest, matched)
    ? { pattern: named, patients: ids.length, matched, why: words[0]!.why }
    : null
}

const folderBelow = (classDepth: number): Candidate => ({
  pattern: `^${'[^/]+/'.repeat(classDepth)}([^/]+)/`,
  why: 'a folder a patient below the class folders',
})

interface NameStart {
  before: string
  series: string
  why: string
}

/** Where in a file name an id may begin: after the name of its class, after a date, or at once. */
function nameStarts(paths: readonly string[], classDepth: number | null): NameStart[] {
  const named = paths.filter((path) => {
    const folder = path.split('/')[(classDepth ?? 0) - 1]?.toLowerCase()
    const rest = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
    return (
      folder && !/\d/.test(folder) && rest.startsWith(folder) && /^[-_ ]\d/.test(rest.slice(folder.length))
    )
  })
  const afterClass = {
    before: '[^/\\d]+[-_ ]',
    series: '\\d[^/]*?',
    why: "file names without their class's name, so that a number in two classes is one patient,",
  }
  return [
    ...(named.length >= 0.98 * paths.length ? [afterClass] : []),
    { before: `${YEAR}${MONTH}${DAY}[-_ ]`, series: SERIES, why: 'file names after their date' },
    { before: '', series: SERIES, why: 'file names' },
  ]
}

function withoutCounters({ before, series, why }: NameStart, counters: number): Candidate {
  const last = counters === 1 ? COUNTER : `(?:${COUNTER}){${counters}}`
  const upTo = ['', 'last number', 'last number but one', 'third number from the end'][counters]
  return {
    pattern: `(?:^|/)${before}(${series})${last}${ENDING}`,
    why: `${why} up to their ${upTo}`,
  }
}

/** `12 patients`, or `12 patients in 20 of 36 images, the others each its own`. */
export function describePatients({ patients, matched }: PatientPattern, images: number): string {
  const some = matched < images ? ` in ${matched} of ${images} images, the others each its own` : ''
  return `${patients} patients${some}`
}

/** Many patients with few images each; where one has more than a tenth, there must be more patients to believe it. */
function isClear(patients: number, largest: number, images: number): boolean {
  if (patients < 4 || patients >= images) return false
  return largest <= Math.max(4, images / 10)
    ? patients >= images / 100
    : largest <= images / 2 && patients >= images / 10
}

function countPatients(
  pattern: RegExp,
  paths: readonly string[],
): { ids: string[]; matched: number; largest: number } {
  const images = new Map<string, number>()
  let matched = 0
  for (const path of paths) {
    const id = pattern
      .exec(path)
      ?.slice(1)
      .find((group) => group)
    if (!id) continue
    matched++
    images.set(id, (images.get(id) ?? 0) + 1)
  }
  const largest = [...images.values()].reduce((a, b) => Math.max(a, b), 0)
  return { ids: [...images.keys()], matched, largest }
}

/** 'person12' and 'Patient-3' among the paths → '(?:^|/)((?:person|Patient)[ _-]?\\d+)(?!\\d)', in the letter case found. */
function wordsBeforeNumbers(paths: readonly string[]): string | null {
  const finder = new RegExp(`(?:^|/)(?=(?:${WORDS})[ _-]?\\d)([a-z]+)|[_-](?=${INNER})([a-z]+)`, 'iu')
  const found = paths.map((path) => finder.exec(path)).filter((match) => match !== null)
  const words = [...new Set(found.map((match) => (match[1] ?? match[2])!))]
  if (words.length === 0 || words.length > 4) return null
  const start = found.some((match) => match[2]) ? '(?:^|[/_-])' : '(?:^|/)'
  const word = words.length === 1 ? words[0] : `(?:${words.sort().join('|')})`
  return `${start}(${word}[ _-]?\\d+)(?!\\d)`
}
