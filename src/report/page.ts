import type { Evaluation } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { count } from './format.ts'
import { Html, html } from './html.ts'
import { STYLE } from './style.ts'

export interface PageInput {
  evaluation: Evaluation | SegmentEvaluation
  /** Name of the run or package, or what was evaluated. */
  title: string
  /** The data were made by a generator: the report says so above everything else. */
  synthetic: boolean
  /** File beside this one that holds the report on the test split. */
  testReport?: string
  /** Shown above the numbers. */
  warnings: readonly string[]
}

/**
 * A report's page around its sections: self-contained HTML, no script, no request to anywhere. Readable on screen
 * (light and dark) and on paper.
 */
export function reportPage(input: PageInput, sections: Html): string {
  const { evaluation, synthetic, warnings } = input
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
${sections}
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

function header({ evaluation, title, testReport }: PageInput): Html {
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
