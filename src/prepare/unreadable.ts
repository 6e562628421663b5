import { UserError } from '../schema/errors.ts'

/** Why a case cannot be read. Any failure on one file is that file's: it is listed and the other files go on. */
export function reasonOf(error: unknown): string {
  if (error instanceof UserError) return error.message
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return `It could not be processed (${text}). Open it in a viewer; if it looks sound, please report this.`
}
