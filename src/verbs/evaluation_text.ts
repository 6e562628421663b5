/** For the command line, which prints results before it knows any room but this one. */

export { segmentSummaryLines, segmentTable } from '../report/segment_table.ts'
export { summaryLines } from '../report/summary_lines.ts'
export { evaluationTable as evaluationText } from '../report/terminal_table.ts'
