import type { Evaluation } from '../schema/evaluation.ts'
import type { RunConfig, RunEvent } from '../schema/run.ts'
import { html } from './html.ts'
import { imageGrid, type ReportImage } from './image_grid.ts'
import { reportPage } from './page.ts'
import { methodSection, provenanceSection } from './provenance.ts'
import { confusionSection, curvesSection, labelSection, subgroupSection, summarySection } from './results.ts'
import { timeSection, trainingSection } from './training.ts'

export interface ReportInput {
  evaluation: Evaluation
  /** Name of the run or package, or what was evaluated. */
  title: string
  /** Of the run, settled: the last for each step. */
  events?: readonly RunEvent[]
  run?: RunConfig
  images?: readonly ReportImage[]
  /** The data were made by a generator: the report says so above everything else. */
  synthetic: boolean
  /** File beside this one that holds the report on the test split. */
  testReport?: string
  /** Besides those of the evaluation. */
  warnings?: readonly string[]
}

/**
 * The evaluation as one self-contained HTML file: no script, no request to anywhere, charts as inline SVG, images
 * inline. Everything that comes from data is escaped. Readable on screen (light and dark) and on paper.
 */
export function renderReport(input: ReportInput): string {
  const { evaluation, events = [], run, images = [], synthetic } = input
  const warnings = [...new Set([...(input.warnings ?? []), ...evaluation.warnings])]
  return reportPage(
    { ...input, warnings },
    html`${summarySection(evaluation, { isHeadline: !synthetic })}
${labelSection(evaluation)}
${curvesSection(evaluation)}
${confusionSection(evaluation)}
${subgroupSection(evaluation)}
${imageGrid(images, evaluation)}
${trainingSection(events, run)}
${timeSection(events)}
${methodSection(evaluation)}
${run && provenanceSection(run, events)}`,
  )
}
