import { withoutExtension } from '../imaging/image_names.ts'
import { firstFew } from './source_data.ts'

/**
 * A case id an image: its path without the extension. Images that differ in the extension alone keep it, so
 * that ids stay distinct, and a warning says so.
 */
export function defaultCaseIds(paths: readonly string[], warnings: string[]): string[] {
  const images = new Map<string, Set<string>>()
  for (const path of paths) {
    const stem = withoutExtension(path)
    const known = images.get(stem)
    if (known) known.add(path)
    else images.set(stem, new Set([path]))
  }
  const shared = [...images.values()].filter((set) => set.size > 1).flatMap((set) => [...set])
  if (shared.length > 0)
    warnings.push(
      `${shared.length} images differ from another in their extension alone and are told apart by it: ${firstFew(shared)}.`,
    )
  return paths.map((path) => {
    const stem = withoutExtension(path)
    return images.get(stem)!.size > 1 ? path : stem
  })
}
