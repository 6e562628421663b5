import { createHmac } from 'node:crypto'
import { basename } from 'node:path'
import type { Attributes, Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { SourceData } from './source_data.ts'

/** 16 digits of base 32 are 80 bits: among 10^8 cases two of them meet once in 240 million data sets. */
const ID_DIGITS = 16
const OLDEST = 90

/**
 * Cases that say nothing of who they are: case, patient and study ids become salted hashes, which stay the same as long
 * as the salt does; ages over 89 become 90; warnings and reasons name cases in place of files.
 *
 * Paths of images stay, as they are needed to read them: nothing outside of `private/` may show them.
 *
 * @throws {UserError} if an attribute holds dates or UIDs
 */
export function deidentified(found: SourceData, salt: Uint8Array): SourceData {
  const idOf = saltedIds(salt)
  const cases = found.cases.map(
    (one): Case => ({
      ...one,
      case_id: idOf('case', one.case_id),
      patient_id: idOf('patient', one.patient_id),
      ...(one.study_id === undefined ? {} : { study_id: idOf('study', one.study_id) }),
      attributes: withoutOldAges(one.attributes),
    }),
  )
  refuseIdentifying(cases)
  const replaced = new Map<string, string>()
  for (const [i, { case_id, patient_id, images, mask }] of found.cases.entries()) {
    for (const path of [...images, ...(mask === undefined ? [] : [mask])])
      replaced.set(path, cases[i]!.case_id).set(basename(path), cases[i]!.case_id)
    replaced.set(case_id, cases[i]!.case_id).set(patient_id, cases[i]!.patient_id)
  }
  const skipped = found.skipped.map((one) => {
    const case_id = idOf('case', one.case_id ?? one.file)
    return {
      case_id,
      file: case_id,
      path: one.path ?? one.file,
      reason: withoutIdentifiers(one.reason, [one.file, basename(one.file)]),
    }
  })
  return {
    ...found,
    cases,
    skipped,
    warnings: found.warnings.map((warning) => withNames(warning, replaced)),
    deidentified: true,
  }
}

/**
 * A message without what may tell who a case is: the paths given, values quoted from a file, UIDs and dates.
 *
 * @param paths of the case's files, in every form in which they may stand there
 */
export function withoutIdentifiers(text: string, paths: readonly string[]): string {
  let cleaned = text
  for (const path of [...paths].sort((a, b) => b.length - a.length))
    if (path !== '') cleaned = cleaned.replaceAll(path, '(file)')
  return cleaned
    .replace(PLACE, '')
    .replace(QUOTED, ' is not ')
    .replace(STRUCTURES, '.')
    .replace(STRUCTURE, '$1f a structure')
    .replace(UID, '(UID)')
    .replace(DATE, '(date)')
}

/** The line of a message that says where the file lies; long paths are shortened there. */
const PLACE = /\n {2}(?:at|in): .*/g
/** What a mask calls its structures is free text, too. */
const STRUCTURES = /; it has "[^\n]*/g
const STRUCTURE = /\b([Oo])f "(?:[^"\\]|\\.)*"/g
/** A value of a damaged element may be any text. */
const QUOTED = / is "(?:[^"\\]|\\.)*", not /g

const UID = /\b\d+(?:\.\d+){4,}\b/g
const DATE = /\b(?:19|20)\d\d(?:-?)(?:0[1-9]|1[0-2])(?:-?)(?:0[1-9]|[12]\d|3[01])\b/g

function saltedIds(salt: Uint8Array): (kind: string, original: string) => string {
  const originals = new Map<string, string>()
  return (kind, original) => {
    const named = `${kind}:${original}`
    const id = base32(createHmac('sha256', salt).update(named).digest()).slice(0, ID_DIGITS)
    const earlier = originals.get(id)
    if (earlier !== undefined && earlier !== named) throw new Error(`two ids of this data set hash to ${id}`)
    originals.set(id, named)
    return id
  }
}

/** RFC 4648 in lower case, without padding. */
function base32(bytes: Uint8Array): string {
  let bits = 0n
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte)
  let text = ''
  for (let at = bytes.length * 8 - 5; at >= 0; at -= 5)
    text += 'abcdefghijklmnopqrstuvwxyz234567'[Number((bits >> BigInt(at)) & 31n)]
  return text
}

/** Of the oldest there are so few that their age names them: 90 stands for 90 and more. */
function withoutOldAges(attributes: Attributes): Attributes {
  const entries = Object.entries(attributes).map(([key, value]) => {
    const years = typeof value === 'number' && /(^|[_ ])age([_ ]|$)/i.test(key) ? value : 0
    return [key, years >= OLDEST ? OLDEST : value]
  })
  return Object.fromEntries(entries) as Attributes
}

function refuseIdentifying(cases: readonly Case[]): void {
  const wrong = new Map<string, number>()
  for (const { attributes } of cases)
    for (const [key, value] of Object.entries(attributes))
      if (value !== null && (String(value).search(UID) >= 0 || String(value).search(DATE) >= 0))
        wrong.set(key, (wrong.get(key) ?? 0) + 1)
  if (wrong.size === 0) return
  throw new UserError(
    `Attributes of de-identified cases may not hold dates or UIDs: ${[...wrong].map(([key, n]) => `"${key}" does in ${n} ${n === 1 ? 'case' : 'cases'}`).join(', ')}.\n` +
      '  do: take them out of data.source.attributes, or give a column that says as much as is needed, such as a year of age.',
  )
}

/** Short names, such as the patient "7", stand for too much else to be looked for. */
const SHORTEST_NAME = 4

function withNames(text: string, replaced: ReadonlyMap<string, string>): string {
  let cleaned = text
  for (const [name, id] of replaced)
    if (name.length >= SHORTEST_NAME && cleaned.includes(name)) cleaned = cleaned.replaceAll(name, id)
  return withoutIdentifiers(cleaned, [])
}
