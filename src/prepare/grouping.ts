/**
 * Cases in groups that belong together: those of one patient, and patients joined by evidence, transitively. Groups
 * come in the order of their smallest patient id, so the order of the cases does not matter.
 *
 * @param together lists of case indices that may not be parted
 * @returns indices of the cases of each group, ascending
 */
export function groupCases(
  cases: readonly { patient_id: string }[],
  together: readonly (readonly number[])[],
): number[][] {
  const parent = cases.map((_, i) => i)
  const find = (i: number): number => {
    let root = i
    while (parent[root] !== root) root = parent[root]!
    while (parent[i] !== root) [parent[i], i] = [root, parent[i]!]
    return root
  }
  const join = (a: number, b: number) => {
    parent[find(a)] = find(b)
  }
  const firstOf = new Map<string, number>()
  for (const [i, { patient_id }] of cases.entries()) {
    const first = firstOf.get(patient_id)
    if (first === undefined) firstOf.set(patient_id, i)
    else join(i, first)
  }
  for (const group of together) for (const i of group) join(i, group[0]!)

  const groups = new Map<number, number[]>()
  for (const i of cases.keys()) {
    const root = find(i)
    const group = groups.get(root)
    if (group) group.push(i)
    else groups.set(root, [i])
  }
  const key = (group: number[]) =>
    group.reduce(
      (least, i) => (cases[i]!.patient_id < least ? cases[i]!.patient_id : least),
      cases[group[0]!]!.patient_id,
    )
  return [...groups.values()]
    .map((group) => ({ group, key: key(group) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ group }) => group)
}
