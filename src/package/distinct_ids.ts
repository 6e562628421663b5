import { basename, dirname } from 'node:path'

/**
 * Cases under ids that no two share. Files of one folder that differ in their extension keep it; any others of one id
 * are lengthened by the folders they lie in, one after the other, until no two are alike; the same path named twice
 * is numbered.
 *
 * @param joint between a folder and the id
 */
export function withDistinctIds<T extends { name: string; case_id: string }>(
  cases: readonly T[],
  joint: '/' | '_',
): T[] {
  const place = ({ name, case_id }: T) => `${dirname(name)}\n${case_id}`
  const places = namesBy(cases, place)
  const named = cases.map((one) => ({
    name: one.name,
    id: places.get(place(one))!.size > 1 ? withExtension(one) : one.case_id,
    folders: foldersBefore(one),
  }))
  for (;;) {
    const ids = namesBy(named, ({ id }) => id)
    const longer = named.filter(({ id, folders }) => ids.get(id)!.size > 1 && folders.length > 0)
    if (longer.length === 0) break
    for (const one of longer) one.id = `${one.folders.pop()}${joint}${one.id}`
  }
  const taken = new Set<string>()
  return cases.map((one, i) => {
    const { id } = named[i]!
    let case_id = id
    for (let n = 2; taken.has(case_id); n++) case_id = `${id}_${n}`
    taken.add(case_id)
    return { ...one, case_id }
  })
}

/** The different names of all that have a key. */
function namesBy<T extends { name: string }>(all: readonly T[], keyOf: (one: T) => string) {
  const names = new Map<string, Set<string>>()
  for (const one of all) {
    const key = keyOf(one)
    const known = names.get(key)
    if (known === undefined) names.set(key, new Set([one.name]))
    else known.add(one.name)
  }
  return names
}

/** An id may be a path below a folder that was named. */
function withExtension({ name, case_id }: { name: string; case_id: string }): string {
  const at = case_id.lastIndexOf('/')
  return `${case_id.slice(0, at + 1)}${basename(name)}`
}

/** Folders of a path that its id does not hold, the outermost first. */
function foldersBefore({ name, case_id }: { name: string; case_id: string }): string[] {
  const folders = dirname(name).split('/')
  const held = case_id.split('/').length - 1
  return folders.slice(0, folders.length - held).filter((one) => one !== '' && one !== '.' && one !== '..')
}
