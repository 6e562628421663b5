import type { z } from 'zod'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { readTextIfExists } from '../storage/local.ts'

/**
 * One of a run's small JSON files; null when there is none.
 *
 * @param advice lines that say what to do about a damaged one
 * @throws {UserError} when it is damaged
 */
export async function readRecord<S extends z.ZodType>(
  schema: S,
  path: string,
  advice: string,
): Promise<z.output<S> | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  try {
    return parse(schema, JSON.parse(text), path)
  } catch (cause) {
    throw new UserError(`${path} is damaged: ${(cause as Error).message}\n${advice}`, { cause })
  }
}
