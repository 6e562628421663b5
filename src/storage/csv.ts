/**
 * Rows as comma-separated text, each line ended. A cell given as text that a spreadsheet would take for a formula gets
 * an apostrophe before it, the spreadsheets' own sign for text: file names come from anywhere. Numbers are never
 * touched, negative ones neither.
 *
 * @see https://owasp.org/www-community/attacks/CSV_Injection
 */
export function csvText(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('')
}

/** A cell's text without the apostrophe that `csvText` puts before formulas. */
export function withoutGuard(text: string): string {
  return GUARDED.test(text) ? text.slice(1) : text
}

const FORMULA = /^[=+\-@\t\r]/
const GUARDED = /^'[=+\-@\t\r]/

function cell(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const text = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
