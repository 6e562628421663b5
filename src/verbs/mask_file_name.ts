/**
 * A case id as the name of a mask's file: letters, digits, dot, dash and underscore; told apart where two would be the
 * same.
 *
 * @param taken names given before; this one is added
 */
export function maskFileName(caseId: string, taken: Set<string>, ending: '.nii.gz' | '.png'): string {
  const stem = caseId.replace(/[^\w.-]/g, '_').replace(/^\.+/, '_')
  let name = stem
  for (let n = 2; taken.has(name); n++) name = `${stem}-${n}`
  taken.add(name)
  return `${name}${ending}`
}
