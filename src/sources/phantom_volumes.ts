import { basename } from 'node:path'
import type { Labels } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { SegmentTask } from '../schema/task.ts'
import { readDecathlon } from './decathlon.ts'
import { maskedCases } from './mask_cases.ts'
import { assertMeaning } from './mask_meaning.ts'
import {
  PHANTOM_MODALITIES,
  PHANTOM_STRUCTURES,
  type PhantomVolume,
  planPhantomVolumes,
} from './phantom_volumes_plan.ts'
import { ensurePhantomVolumes, pathsOf } from './phantom_volumes_write.ts'
import type { SourceData, SourceOf, SourceRequest } from './source_data.ts'

/** Of their case ids. */
const PATIENT = '^(phantom\\d+)_'

/** Generates the phantom volumes under the root if need be, then reads them as any Decathlon folder is read. */
export async function readPhantomVolumes(
  source: SourceOf<'phantom_volumes'>,
  request: SourceRequest<SegmentTask>,
): Promise<SourceData> {
  assertMeaning(request.task, MASK_VALUES)
  if (request.mayGenerate === false) return planned(source, request)
  const { cases } = await ensurePhantomVolumes(source, request.root, request.signal)
  const orientations = new Map(cases.map((one) => [one.case_id, one.orientation]))
  const data = await readDecathlon({ kind: 'decathlon', patient: PATIENT }, request)
  return marked(data, request.root, (case_id) => orientations.get(case_id)!)
}

/** The one thing that a phantom volume as a whole has or has not. */
const LABEL = 'lesion'

/**
 * The same volumes without masks: whether the organ holds a lesion is known of each.
 *
 * @throws {UserError} for any other label
 */
export async function readPhantomVolumeLabels(
  source: SourceOf<'phantom_volumes'>,
  { root, signal, task, mayGenerate }: SourceRequest,
): Promise<SourceData> {
  const odd = task.labels.filter((label) => label !== LABEL)
  if (odd.length > 0)
    throw new UserError(
      `data.source "phantom_volumes" has the label ${LABEL} alone; task.labels names ${odd.join(', ')}.\n` +
        `  do: write task: { kind: classify, labels: [${LABEL}] }.`,
    )
  if (mayGenerate !== false) await ensurePhantomVolumes(source, root, signal)
  // The parameters say everything that the files do.
  const volumes = planPhantomVolumes(source)
  const cases = volumes.map((one) => ({
    case_id: one.case_id,
    patient_id: one.patient_id,
    images: [pathsOf(one).image],
    labels: { [LABEL]: one.lesion === null ? 0 : 1 } satisfies Labels,
    attributes: {},
  }))
  const orientations = new Map(volumes.map((one) => [one.case_id, one.orientation]))
  const data: SourceData = {
    cases,
    labels: [...task.labels],
    volumes: {
      modalities: PHANTOM_MODALITIES,
      maskValues: new Map(),
      ...(mayGenerate === false && { planned: gridsOf(volumes) }),
    },
    warnings: [],
    has_given_split: false,
    synthetic: false,
    skipped: [],
  }
  return marked(data, root, (case_id) => orientations.get(case_id)!)
}

const MASK_VALUES = new Map<number, string>([
  [0, 'background'],
  ...Object.entries(PHANTOM_STRUCTURES).map(([name, value]) => [value, name] as const),
])

/** The same cases without a file: they follow from the parameters, and so do their grids. */
function planned(source: SourceOf<'phantom_volumes'>, request: SourceRequest<SegmentTask>): SourceData {
  const volumes = planPhantomVolumes(source)
  const found = volumes.map((one) => {
    const { image, label } = pathsOf(one)
    return { case_id: one.case_id, images: [image], mask: label }
  })
  const description = { modalities: PHANTOM_MODALITIES, maskValues: MASK_VALUES }
  const data = maskedCases(found, [], [], description, PATIENT, request)
  const orientations = new Map(volumes.map((one) => [one.case_id, one.orientation]))
  data.volumes!.planned = gridsOf(volumes)
  return marked(data, request.root, (case_id) => orientations.get(case_id)!)
}

const gridsOf = (volumes: readonly PhantomVolume[]) =>
  volumes.map(({ grid }) => ({ grid, channels: PHANTOM_MODALITIES.length }))

function marked(data: SourceData, root: string, orientationOf: (case_id: string) => string): SourceData {
  return {
    ...data,
    cases: data.cases.map((one) => ({
      ...one,
      attributes: { ...one.attributes, orientation: orientationOf(one.case_id), synthetic: 'yes' },
    })),
    synthetic: true,
    warnings: [
      `${basename(root)} is synthetic: a phantom that shows nobody, for checking instruments.`,
      ...data.warnings,
    ],
  }
}
