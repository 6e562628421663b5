import { stripVTControlCharacters, styleText } from 'node:util'

/** A bold heading on a terminal, plain text in a pipe or under NO_COLOR. */
export const heading = (text: string) => styleText('bold', text, { stream: process.stdout })

/** Rows under headings, columns aligned, numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = (text: string) => stripVTControlCharacters(text).length
  const widths = headings.map((text, i) => Math.max(width(text), ...rows.map((row) => width(row[i] ?? ''))))
  const isNumeric = headings.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^(-?[\d.,:%e+-]+|—|)$/.test(row[i] ?? '')),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const padding = ' '.repeat(widths[i]! - width(cell))
        return isNumeric[i] ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  return [heading(line(headings)), ...rows.map(line)].join('\n')
}

/** A metric to four places; a dash when it is undefined. */
export const metric = (value: number | null | undefined) => (value == null ? '—' : value.toFixed(4))

/** `1 case`, `3 cases`. */
export const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
