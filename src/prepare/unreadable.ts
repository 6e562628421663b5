import { basename, dirname, join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { Quarantined } from '../schema/shard_set.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'

/** Why a case cannot be read. Any failure on one file is that file's: it is listed and the other files go on. */
export function reasonOf(error: unknown): string {
  if (error instanceof UserError) return error.message
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return `It could not be processed (${text}). Open it in a viewer; if it looks sound, please report this.`
}

/** How a case that cannot be read is listed. Of a de-identified one neither its file nor what that holds is named. */
export function unreadCase(
  { case_id, file, reason }: Quarantined,
  { root, deidentified }: { root: string; deidentified: boolean },
): Quarantined {
  if (!deidentified) return { case_id, file, reason }
  const paths = [join(root, file), file, basename(file), dirname(join(root, file)), root]
  return { case_id, file: case_id, reason: withoutIdentifiers(reason, paths) }
}
