import { basename } from 'node:path'
import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { readChestXray14 } from './chestxray14.ts'
import { logLikelihoodRatio, separation } from './phantom_optimum.ts'
import { PHANTOM_LABELS, type PhantomLabel, planPhantom, severityScale } from './phantom_plan.ts'
import { ensurePhantom, readManifest } from './phantom_write.ts'
import type { SourceData, SourceOf, SourceRequest } from './source_data.ts'

/** Generates the phantom under the root if need be, then reads it as any ChestX-ray14 folder is read. */
export async function readPhantom(source: SourceOf<'phantom'>, request: SourceRequest): Promise<SourceData> {
  const odd = request.task.labels.filter((label) => !PHANTOM_LABELS.some((known) => known === label))
  if (odd.length > 0)
    throw new UserError(
      `task.labels: the phantom has no ${odd.map((label) => `"${label}"`).join(', ')}; its findings are ${PHANTOM_LABELS.join(', ')}.`,
    )
  if (request.mayGenerate === false) return plannedPhantom(source, request)
  const manifest = await ensurePhantom(source, request.root, request.signal)
  const markers = new Map(manifest.cases.map((c) => [c.case_id, c.marker]))
  const data = await readChestXray14({ kind: 'chestxray14' }, request)
  for (const found of data.cases) {
    found.attributes.marker = markers.get(found.case_id) ?? null
    found.attributes.synthetic = 'yes'
  }
  return {
    ...data,
    synthetic: true,
    warnings: [syntheticWarning(request.root), ...data.warnings],
  }
}

/** The same cases as `readPhantom` gives, without a file: they follow from the parameters. */
function plannedPhantom(source: SourceOf<'phantom'>, { task, root }: SourceRequest): SourceData {
  const cases = planPhantom(source).map(
    ({ case_id, patient_id, part, labels, age, sex, view, marker }): Case => ({
      case_id,
      patient_id,
      images: [`images/${case_id}.png`],
      labels: Object.fromEntries(task.labels.map((label) => [label, labels[label as PhantomLabel]])),
      attributes: { age, sex, view, marker, synthetic: 'yes' },
      split: part,
    }),
  )
  return {
    cases,
    labels: [...task.labels],
    warnings: [syntheticWarning(root)],
    has_given_split: true,
    synthetic: true,
    skipped: [],
  }
}

const syntheticWarning = (root: string) =>
  `${basename(root)} is synthetic: a phantom that shows nobody, for checking instruments.`

export interface PhantomOptimum {
  /** Expected AUROC of the best possible observer of one image; see `phantom_optimum.ts` for the derivation. */
  per_label: Record<string, number>
  auroc_mean: number
}

/**
 * The best AUROC that the phantom at `root` makes possible, in expectation over its generator. On a finite list
 * of cases even the best observer scatters around it; `phantomOracle` gives that observer's scores.
 */
export async function phantomOptimum(root: string): Promise<PhantomOptimum> {
  const { best_auroc } = await requireManifest(root)
  const values = Object.values(best_auroc)
  return { per_label: { ...best_auroc }, auroc_mean: values.reduce((a, b) => a + b, 0) / values.length }
}

/** Scores of the best possible observer, log likelihood ratios from the latent truth: case id → label → score. */
export async function phantomOracle(root: string): Promise<Map<string, Record<string, number>>> {
  const { cases, parameters, marked_label } = await requireManifest(root)
  const d = separation(parameters.difficulty)
  return new Map(
    cases.map((c) => [
      c.case_id,
      Object.fromEntries(
        PHANTOM_LABELS.map((label) => {
          const z = c.severity[label] * severityScale(d) + d / 2
          const shortcut = label === marked_label ? parameters.marker_shortcut : 0
          return [label, logLikelihoodRatio(z, d, c.marker, shortcut)]
        }),
      ),
    ]),
  )
}

async function requireManifest(root: string) {
  const manifest = await readManifest(root)
  if (manifest) return manifest
  throw new UserError(
    `${root} holds no finished phantom.\n  do: generate it with "fiducial prepare" on its recipe.`,
  )
}
