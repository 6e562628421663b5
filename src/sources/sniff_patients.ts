export interface PatientPattern {
  /** For `data.source.patient` of a folder. */
  pattern: string
  patients: number
  /** Paths that the pattern matches; the others count as a patient each. */
  matched: number
  why: string
}

const WORDS = 'patient|subject|participant|person|subj|pat|sub|pt|p'
/** A name up to its last number, when that part holds a number itself: 'NORMAL2-IM-0596-0001' → 'NORMAL2-IM-0596'. */
const SERIES = '[^/]*\\d[^/]*?'

/**
 * A pattern that finds the patient in the paths, or null when no pattern is clear. Clear is: it matches nearly all
 * paths, some patients have several images, and none has most of them. Failing that, a word such as `patient` before
 * numbers is proposed where it stands in a part of the paths only.
 *
 * @param classDepth folders down to the class; a folder below may be a patient's. Null where folders tell nothing
 */
export function guessPatientPattern(
  paths: readonly string[],
  classDepth: number | null,
): PatientPattern | null {
  const named = wordsBeforeNumbers(paths)
  const candidates: { pattern: string; why: string }[] = [
    ...(named ? [{ pattern: `(?:^|/)(${named})(?!\\d)`, why: 'a word and a number in the paths' }] : []),
    ...(classDepth === null
      ? []
      : [
          {
            pattern: `^${'[^/]+/'.repeat(classDepth)}([^/]+)/`,
            why: 'a folder a patient below the class folders',
          },
        ]),
    ...(named
      ? [
          {
            pattern: `(?:^|/)(?:(${named})(?!\\d)|(${SERIES})[-_]\\d+(?:\\.[^./]+)?$)`,
            why: 'a word and a number where there is one, else file names up to their last number',
          },
        ]
      : []),
    { pattern: `(?:^|/)(${SERIES})[-_]\\d+(?:\\.[^./]+)?$`, why: 'file names up to their last number' },
  ]
  for (const { pattern, why } of candidates) {
    const { patients, matched, largest } = countPatients(new RegExp(pattern, 'u'), paths)
    if (matched >= 0.98 * paths.length && isClear(patients, largest, paths.length))
      return { pattern, patients, matched, why }
  }
  const { pattern, why } = candidates[0]!
  if (!named) return null
  const { patients, matched, largest } = countPatients(new RegExp(pattern, 'u'), paths)
  return matched >= 0.1 * paths.length && isClear(patients, largest, matched)
    ? { pattern, patients, matched, why }
    : null
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
): { patients: number; matched: number; largest: number } {
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
  return { patients: images.size, matched, largest }
}

/** 'person12' and 'Patient-3' among the paths → '(?:person|Patient)[ _-]?\\d+', in the letter case found. */
function wordsBeforeNumbers(paths: readonly string[]): string | null {
  const finder = new RegExp(`(?:^|/)(${WORDS})[ _-]?\\d`, 'iu')
  const words = [...new Set(paths.map((path) => finder.exec(path)?.[1]).filter((word) => word !== undefined))]
  if (words.length === 0 || words.length > 4) return null
  return `${words.length === 1 ? words[0] : `(?:${words.sort().join('|')})`}[ _-]?\\d+`
}
