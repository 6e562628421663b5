/**
 * `the test split has been opened 2 times, last 2026-11-21 10:00 UTC: report-test.html`
 *
 * @param state `last_opened` as ISO 8601, UTC
 */
export function openedText(state: {
  openings: number
  last_opened: string | null
  report: string | null
}): string {
  const times = state.openings === 1 ? 'once' : `${state.openings} times`
  const last =
    state.last_opened === null ? '' : `, last ${state.last_opened.slice(0, 16).replace('T', ' ')} UTC`
  const report = state.report === null ? '' : `: ${state.report.slice(state.report.lastIndexOf('/') + 1)}`
  return `the test split has been opened ${times}${last}${report}`
}
