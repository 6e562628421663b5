import type { Evaluation } from '../schema/evaluation.ts'
import type { RunConfig, RunEvent } from '../schema/run.ts'
import { whole } from './format.ts'
import { type Html, html, type Part } from './html.ts'

/** How the numbers were computed, in words. */
export function methodSection({ bootstrap, test_openings, task, split }: Evaluation): Html {
  const { resamples, confidence, clusters, seed } = bootstrap
  const level = Number((100 * confidence).toFixed(2))
  return html`<section><h2>How this was measured</h2>
<p>Intervals are ${level} % percentile intervals over ${whole(resamples)} bootstrap resamples of whole ${clusters}s (seed ${seed}).
Where a metric is exactly 0 or 1 resampling sees no spread; the interval is then the exact binomial bound over ${clusters}s.
A metric that is undefined in more than 5 % of resamples has no interval. Cases whose label is unknown are left out for that label.</p>
<p>AUROC counts pairs, a tie as one half. Average precision is the step-wise sum over thresholds, without interpolation.
${
  task.exclusive
    ? 'Classes are measured one against the rest; a case is given its highest-scoring class.'
    : 'A threshold lies midway between two adjacent scores.'
}
${split === 'test' && `This test split has been opened ${test_openings} ${test_openings === 1 ? 'time' : 'times'} by this run: every further look weakens it as evidence.`}</p></section>`
}

/** What the numbers depend on: enough to make them again. */
export function provenanceSection(run: RunConfig, events: readonly RunEvent[]): Html {
  const start = events.findLast((event) => event.type === 'start')
  const { provenance, data, model, train } = run
  const rows: [string, Part][] = [
    ['run', run.name],
    ['made', provenance.created],
    ['recipe hash', code(run.recipe_hash)],
    ['set id', code(data.set_id)],
    ['labels id', code(data.labels_id)],
    ['split id', code(data.split_id)],
    [
      'network',
      model.family === 'file'
        ? `${model.name} of ${model.file}`
        : model.family === 'mlp'
          ? `mlp ${model.hidden.join('-')}`
          : model.family === 'timm'
            ? model.kind
            : model.family,
    ],
    ['weights', model.weights],
    [
      'input',
      data.kind === 'images'
        ? `${data.sample_shape.join(' × ')} ${data.dtype}`
        : `volumes of ${data.channels} ${data.channels === 1 ? 'channel' : 'channels'}, ${data.dtype}, ${data.spacing_mm.join(' × ')} mm`,
    ],
    ...(run.task.kind === 'segment' ? [['patch', run.task.patch_size.join(' × ')] as [string, string]] : []),
    ['seed', train.seed],
    ['fiducial', provenance.fiducial_version],
    [
      'commit',
      provenance.commit === null
        ? 'not in a repository'
        : html`${code(provenance.commit)}${provenance.dirty && ', with uncommitted changes'}`,
    ],
    ['Node lock', provenance.node_lock_sha256 && code(provenance.node_lock_sha256)],
    ['Python lock', provenance.python_lock_sha256 && code(provenance.python_lock_sha256)],
  ]
  if (start)
    rows.push(
      [
        'device',
        `${start.device}, ${start.precision}, ${start.threads} threads, ${start.world_size} ${start.world_size === 1 ? 'rank' : 'ranks'}`,
      ],
      ['torch', start.torch],
      ['weights sha256', start.weights_sha256 && code(start.weights_sha256)],
      ['parameters', whole(start.num_parameters)],
      ['training cases', `${whole(start.num_train)} training, ${whole(start.num_val)} validation`],
    )
  return html`<section><h2>Provenance</h2><dl>${rows.map(
    ([name, value]) => value !== null && html`<dt>${name}</dt><dd>${value}</dd>`,
  )}</dl></section>`
}

const code = (text: string): Html => html`<code>${text}</code>`
