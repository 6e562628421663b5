import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { explain } from '../storage/local.ts'

/**
 * Removes what an earlier phantom left in `root`, its manifest first.
 *
 * @param manifests names of which one marks the folder as a phantom's, finished or not
 * @param own every name that a phantom puts there
 * @throws {UserError} when the folder holds anything that no phantom put there
 */
export async function clearGenerated(
  root: string,
  manifests: readonly string[],
  own: ReadonlySet<string>,
): Promise<void> {
  const entries = await readdir(root).catch((cause) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw explain(cause, root)
  })
  const visible = entries.filter((name) => !name.startsWith('.'))
  if (visible.length === 0) return
  const isPhantom = visible.some((name) => manifests.includes(name))
  const foreign = visible.filter((name) => !own.has(name))
  if (!isPhantom || foreign.length > 0)
    throw new UserError(
      `${root} is not empty and ${isPhantom ? `holds more than a phantom (${foreign.slice(0, 5).join(', ')})` : 'holds no phantom'}, so nothing is generated there.\n  do: name a new or empty folder in data.root.`,
    )
  const [first, ...others] = manifests
  for (const name of [first!, ...others, ...visible])
    await rm(join(root, name), { recursive: true, force: true })
}
