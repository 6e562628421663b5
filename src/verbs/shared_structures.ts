import type { Voxels } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import type { Structure } from '../schema/task.ts'

/** How the masks of a package and of a data set say the same structures. */
export interface SharedStructures {
  /** Name → values in masks that `ofPackage` or `ofData` has translated. */
  labels: Record<string, number[]>
  /** A package's structures that the data do not name. */
  unmeasured: string[]
  ofPackage(mask: Voxels): Uint8Array
  ofData(mask: Voxels): Uint8Array
}

/**
 * Matches structures by their names; the values of each side are its own, as a tumour is 4 in one data set and 3 in
 * another. Translated masks have the data set's values where it has one for what a voxel belongs to.
 *
 * @throws {UserError} when the data name a structure that the package does not find
 */
export function sharedStructures(
  ofPackage: readonly Structure[],
  ofData: readonly Structure[],
): SharedStructures {
  const known = ofPackage.map(({ name }) => name)
  const wanted = ofData.map(({ name }) => name)
  const unknown = wanted.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new UserError(
      `The package does not find ${unknown.join(', ')}.\n` +
        `  package: ${known.join(', ')}\n  recipe:  ${wanted.join(', ')}\n` +
        "  do: name the package's structures in task.labels or task.regions, with the values that this data set's masks have for them.",
    )
  const codes = new Map<string, number>([['', 0]])
  const taken = new Set([0, ...ofData.flatMap(({ values }) => values)])
  /** `keepsValues`: a new code is the value that it stands for, else a free one. */
  const translation = (structures: readonly Structure[], { keepsValues }: { keepsValues: boolean }) => {
    const table = new Uint8Array(256)
    const named = structures.filter(({ name }) => wanted.includes(name))
    for (const value of new Set(named.flatMap(({ values }) => values))) {
      const members = wanted.filter((name) => named.find((one) => one.name === name)!.values.includes(value))
      const key = members.join('\n')
      if (!codes.has(key)) {
        const code = keepsValues
          ? value
          : Array.from({ length: 256 }, (_, i) => i).find((i) => !taken.has(i))!
        taken.add(code)
        codes.set(key, code)
      }
      table[value] = codes.get(key)!
    }
    return table
  }
  const [dataTable, packageTable] = [
    translation(ofData, { keepsValues: true }),
    translation(ofPackage, { keepsValues: false }),
  ]
  const labels = Object.fromEntries(
    wanted.map((name) => [
      name,
      [...codes].filter(([key]) => key.split('\n').includes(name)).map(([, code]) => code),
    ]),
  )
  return {
    labels,
    unmeasured: known.filter((name) => !wanted.includes(name)),
    ofPackage: (mask) => translated(mask, packageTable),
    ofData: (mask) => translated(mask, dataTable),
  }
}

/** Values that the table does not have, and those that are no label at all, become background. */
function translated(mask: Voxels, table: Uint8Array): Uint8Array {
  return Uint8Array.from(mask, (value) => table[value] ?? 0)
}
