import { parseAllDocuments } from 'yaml'
import { SchemaError } from '../schema/errors.ts'

/**
 * A value from YAML of one document; null when it is empty. Aliases may not multiply, tags may not name types: nothing
 * here needs either.
 *
 * @param where named in the error, usually the file
 * @throws {SchemaError} when the text is no such YAML
 */
export function readYaml(text: string, where: string): unknown {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what tells a binary file from text
  if (/[\u0000-\u0008\ufffd]/.test(text)) throw new SchemaError(`${where} is not a text file.`)
  try {
    const documents = parseAllDocuments(text, { prettyErrors: true, logLevel: 'error' })
    if (documents.length > 1)
      throw new SchemaError(
        `${where} holds ${documents.length} YAML documents, set apart by "---"; one is expected.`,
      )
    const document = documents[0]
    if (document === undefined) return null
    const problem = document.errors[0] ?? document.warnings[0]
    if (problem?.message.startsWith('Maximum call stack')) throw new RangeError()
    if (problem)
      throw new SchemaError(`${where} is not YAML: ${problem.message.trimEnd()}`, { cause: problem })
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    if (holdsItself(value))
      throw new SchemaError(`${where}: an alias (*name) stands inside the anchor (&name) that it repeats.`)
    return value
  } catch (cause) {
    if (cause instanceof SchemaError) throw cause
    const reason = cause instanceof RangeError ? 'it is nested too deep' : (cause as Error).message
    throw new SchemaError(`${where} is not YAML that can be read: ${reason}.`, { cause })
  }
}

function holdsItself(value: unknown, above: readonly unknown[] = []): boolean {
  if (value === null || typeof value !== 'object') return false
  return above.includes(value) || Object.values(value).some((inner) => holdsItself(inner, [...above, value]))
}
