import type { Evaluation } from '../schema/evaluation.ts'
import type { RunConfig, RunEvent } from '../schema/run.ts'
import { count } from './format.ts'
import { Html, html } from './html.ts'
import { imageGrid, type ReportImage } from './image_grid.ts'
import { methodSection, provenanceSection } from './provenance.ts'
import { confusionSection, curvesSection, labelSection, subgroupSection, summarySection } from './results.ts'
import { STYLE } from './style.ts'
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
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${input.title} · ${splitName(evaluation.split)}</title>
<style>${STYLE_SHEET}</style>
</head>
<body>
<main>
${synthetic && SYNTHETIC}
${header(input)}
${warnings.length > 0 && html`<ul class="notes">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>`}
${summarySection(evaluation, { isHeadline: !synthetic })}
${labelSection(evaluation)}
${curvesSection(evaluation)}
${confusionSection(evaluation)}
${subgroupSection(evaluation)}
${imageGrid(images, evaluation)}
${trainingSection(events, run)}
${timeSection(events)}
${methodSection(evaluation)}
${run && provenanceSection(run, events)}
</main>
</body>
</html>
`
  return page.text
}

/** Ours, so it needs no escaping. */
const STYLE_SHEET = new Html(STYLE)

const SYNTHETIC = html`<p class="alarm" role="alert">Synthetic data
<span>These images were made by a generator with known truth. The numbers test the software; they say nothing about patients.</span></p>`

function header({ evaluation, title, testReport }: ReportInput): Html {
  const { cases, patients, test_openings, split, source, bootstrap } = evaluation
  return html`<header>
<h1>${title}</h1>
<ul class="facts">
<li><b>${splitName(split)}</b></li>
<li><b>${count(cases, 'case')}</b>${bootstrap.clusters === 'patient' ? html` of <b>${count(patients, 'patient')}</b>` : ', patients not known'}</li>
<li>source <b>${source}</b></li>
${test_openings > 0 && html`<li>test split opened <b>${count(test_openings, 'time')}</b>${testReport !== undefined && html`: <a href="${testReport}">${testReport}</a>`}</li>`}
</ul>
<p class="use">For research use only. Not a medical device: nothing here is a diagnosis.</p>
</header>`
}

function splitName(split: Evaluation['split']): string {
  return { val: 'validation split', test: 'test split', train: 'training split', all: 'all cases' }[split]
}
