export interface PatientPattern {
  /** For `data.source.patient` of a folder. */
  pattern: string
  patients: number
  why: string
}

const WORDS = 'patient|subject|participant|person|subj|pat|sub|pt|p'
/** A name up to its last number, when that part holds a number itself: 'NORMAL2-IM-0596-0001' → 'NORMAL2-IM-0596'. */
const SERIES = '[^/]*\\d[^/]*?'

/**
 * A pattern that finds the patient in the paths, or null when no pattern is clear. Clear is: it matches nearly all
 * paths, some patients have several images, and none has most of them.
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
    const patients = countPatients(new RegExp(pattern, 'u'), paths)
    if (patients !== null) return { pattern, patients, why }
  }
  return null
}

/** Number of patients if the pattern is a clear one. */
function countPatients(pattern: RegExp, paths: readonly string[]): number | null {
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
  const largest = Math.max(0, ...images.values())
  const isClear =
    matched >= 0.98 * paths.length &&
    images.size >= Math.max(4, paths.length / 100) &&
    images.size < paths.length &&
    largest <= Math.max(4, paths.length / 10)
  return isClear ? images.size : null
}

/** 'person12' and 'Patient-3' among the paths → '(?:person|Patient)[ _-]?\\d+', in the letter case found. */
function wordsBeforeNumbers(paths: readonly string[]): string | null {
  const finder = new RegExp(`(?:^|/)(${WORDS})[ _-]?\\d`, 'iu')
  const words = [...new Set(paths.map((path) => finder.exec(path)?.[1]).filter((word) => word !== undefined))]
  if (words.length === 0 || words.length > 4) return null
  return `${words.length === 1 ? words[0] : `(?:${words.sort().join('|')})`}[ _-]?\\d+`
}
