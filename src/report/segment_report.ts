import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { RunConfig, RunEvent } from '../schema/run.ts'
import { html } from './html.ts'
import { reportPage } from './page.ts'
import { provenanceSection } from './provenance.ts'
import { segmentCasesSection } from './segment_cases.ts'
import { segmentChartsSection } from './segment_charts.ts'
import { type SegmentFigure, segmentGallery } from './segment_gallery.ts'
import {
  segmentLabelSection,
  segmentMethodSection,
  segmentSubgroupSection,
  segmentSummarySection,
} from './segment_results.ts'
import { timeSection, trainingSection } from './training.ts'

export interface SegmentReportInput {
  evaluation: SegmentEvaluation
  /** Name of the run or package, or what was evaluated. */
  title: string
  /** Drawings of `segmentFigures`. */
  figures?: readonly SegmentFigure[]
  /** Of the run, settled: the last for each step. */
  events?: readonly RunEvent[]
  run?: RunConfig
  /** The data were made by a generator: the report says so above everything else. */
  synthetic: boolean
  /** File beside this one that holds the report on the test split. */
  testReport?: string
  /** Besides those of the evaluation. */
  warnings?: readonly string[]
}

/**
 * The evaluation of masks as one self-contained HTML file: as `renderReport`, with the distribution over cases and
 * outlines of the worst, median and best of them.
 */
export function renderSegmentReport(input: SegmentReportInput): string {
  const { evaluation, figures = [], events = [], run, synthetic } = input
  const warnings = [...new Set([...(input.warnings ?? []), ...evaluation.warnings])]
  return reportPage(
    { ...input, warnings },
    html`${segmentSummarySection(evaluation, { isHeadline: !synthetic })}
${segmentLabelSection(evaluation)}
${segmentChartsSection(evaluation)}
${segmentGallery(figures)}
${segmentCasesSection(evaluation)}
${segmentSubgroupSection(evaluation)}
${trainingSection(events, run)}
${timeSection(events)}
${segmentMethodSection(evaluation)}
${run && provenanceSection(run, events)}`,
  )
}
