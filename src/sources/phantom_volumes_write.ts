import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeNifti } from '../imaging/nifti/write.ts'
import { PhantomVolumesSource } from '../schema/data.ts'
import { StoppedError } from '../schema/errors.ts'
import { makeFolder, readTextIfExists, writeAtomic } from '../storage/local.ts'
import { clearGenerated } from './clear_generated.ts'
import {
  PHANTOM_MODALITIES,
  PHANTOM_STRUCTURES,
  type PhantomVolume,
  planPhantomVolumes,
} from './phantom_volumes_plan.ts'
import { renderPhantomVolume } from './phantom_volumes_render.ts'

/** Raise it whenever the same parameters give other files. */
const GENERATOR_VERSION = 1
const MANIFEST = 'phantom_volumes.json'
/** Stands in the folder while it is written, so that a stopped generation is known as such and done again. */
const UNFINISHED = 'phantom_volumes.unfinished.json'
const OWN = new Set([MANIFEST, UNFINISHED, 'dataset.json', 'imagesTr', 'labelsTr'])
const SYNTHETIC = 'SYNTHETIC phantom by fiducial; shows nobody'

const PhantomVolumesManifest = z.strictObject({
  format: z.literal(1),
  synthetic: z.literal(true),
  description: z.string(),
  generator_version: z.int(),
  parameters: PhantomVolumesSource,
  cases: z.array(
    z.strictObject({
      case_id: z.string(),
      patient_id: z.string(),
      orientation: z.string(),
      volumes_ml: z.strictObject({ Organ: z.number(), Lesion: z.number() }),
    }),
  ),
})
export type PhantomVolumesManifest = z.infer<typeof PhantomVolumesManifest>

/**
 * Makes `root` hold the phantom volumes of these parameters: nothing is done when it does already; another phantom is
 * replaced. Files are in the Decathlon's layout; `phantom_volumes.json`, written last, holds the truth.
 *
 * @throws {UserError} when the folder holds anything that no phantom put there; {StoppedError} when aborted, and the
 *   folder is then known as unfinished
 */
export async function ensurePhantomVolumes(
  source: PhantomVolumesSource,
  root: string,
  signal?: AbortSignal,
): Promise<PhantomVolumesManifest> {
  const found = await readVolumesManifest(root)
  if (found && isSame(found, source)) return found
  const cases = planPhantomVolumes(source)
  // The same phantom half written, perhaps by another process at this moment, is written over: its bytes are these.
  const unfinished = `${JSON.stringify({ synthetic: true, generator_version: GENERATOR_VERSION, parameters: source })}\n`
  if ((await readTextIfExists(join(root, UNFINISHED))) !== unfinished)
    await clearGenerated(root, [MANIFEST, UNFINISHED], OWN)
  await writeAtomic(join(root, UNFINISHED), unfinished)
  for (const folder of ['imagesTr', 'labelsTr']) await makeFolder(join(root, folder))
  for (const phantom of cases) {
    if (signal?.aborted)
      throw new StoppedError('Stopped while the volumes were made. The same command makes them anew.')
    const { image, mask } = renderPhantomVolume(source, phantom)
    const options = { gzip: true, description: SYNTHETIC }
    await writeAtomic(join(root, pathsOf(phantom).image), await writeNifti(image, options))
    await writeAtomic(join(root, pathsOf(phantom).label), await writeNifti(mask, options))
  }
  await writeAtomic(join(root, 'dataset.json'), `${JSON.stringify(datasetJson(cases), null, 2)}\n`)
  const manifest = describe(source, cases)
  await writeAtomic(join(root, MANIFEST), `${JSON.stringify(manifest)}\n`)
  await rm(join(root, UNFINISHED), { force: true })
  return manifest
}

/** The manifest of a finished phantom of this version, or null. */
export async function readVolumesManifest(root: string): Promise<PhantomVolumesManifest | null> {
  const text = await readTextIfExists(join(root, MANIFEST))
  if (text === null) return null
  try {
    const parsed = PhantomVolumesManifest.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch (cause) {
    if (cause instanceof SyntaxError) return null
    throw cause
  }
}

/** Root-relative files of a case. */
export const pathsOf = ({ case_id }: Pick<PhantomVolume, 'case_id'>) => ({
  image: `imagesTr/${case_id}.nii.gz`,
  label: `labelsTr/${case_id}.nii.gz`,
})

function isSame(manifest: PhantomVolumesManifest, source: PhantomVolumesSource): boolean {
  return (
    manifest.generator_version === GENERATOR_VERSION &&
    JSON.stringify(manifest.parameters) === JSON.stringify(PhantomVolumesSource.parse(source))
  )
}

function datasetJson(cases: readonly PhantomVolume[]) {
  return {
    name: 'phantom volumes',
    description: SYNTHETIC,
    modality: Object.fromEntries(PHANTOM_MODALITIES.map((name, channel) => [String(channel), name])),
    labels: {
      0: 'background',
      ...Object.fromEntries(Object.entries(PHANTOM_STRUCTURES).map(([name, value]) => [value, name])),
    },
    numTraining: cases.length,
    training: cases.map(pathsOf),
  }
}

function describe(source: PhantomVolumesSource, cases: readonly PhantomVolume[]): PhantomVolumesManifest {
  return {
    format: 1,
    synthetic: true,
    description:
      'Synthetic volumes of two modalities with known truth, made by fiducial. They show nobody. A body of ellipsoids ' +
      'holds an organ on its right, in some patients with a lesion inside, and on its left a twin that no mask names. ' +
      'volumes_ml are those of the ellipsoids, exact; a mask on a grid of voxels only comes near them.',
    generator_version: GENERATOR_VERSION,
    parameters: PhantomVolumesSource.parse(source),
    cases: cases.map(({ case_id, patient_id, orientation, volumes_ml }) => ({
      case_id,
      patient_id,
      orientation,
      volumes_ml,
    })),
  }
}
