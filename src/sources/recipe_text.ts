import { stringify } from 'yaml'

/** One YAML value on one line: { key: value } and [value]. */
export function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(([key, v]) => `${flow(key)}: ${flow(v)}`)
    return `{ ${entries.join(', ')} }`
  }
  // Inside [ ] more characters need quotes than outside; written there, a scalar is safe in both places.
  return stringify([value], {
    collectionStyle: 'flow',
    lineWidth: 0,
    singleQuote: true,
    flowCollectionPadding: false,
  })
    .trim()
    .slice(1, -1)
}

/** Text of any length and with any character on one line, for a comment. */
export function oneLine(text: string): string {
  return JSON.stringify(text.replaceAll(/\s+/g, ' ')).slice(1, -1).replaceAll('\\"', '"')
}

/** A line of a recipe with its comment: behind it, or above it where the line is long. */
export function commented(line: string, comment = ''): string[] {
  if (comment === '') return [line]
  if (line.length <= 64) return [`${line.padEnd(46)}  # ${comment}`]
  return [`${/^ */.exec(line)![0]}# ${comment}`, line]
}
