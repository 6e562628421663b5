import { INPUT_FORMATS, thresholds, VOLUME_FORMATS } from '../package/infer.ts'
import { structureColour } from '../package/mask_views.ts'
import type { ServedModel, ServedScoreModel, ServedVolumeModel } from '../schema/serving.ts'
import type { Served, ServedScorer } from './app.ts'
import type { ServedSegmenter } from './volumes.ts'

type About = Pick<
  ServedModel,
  'name' | 'version' | 'status' | 'default' | 'package_digest' | 'certified' | 'synthetic' | 'warnings'
>

/** What `GET /v1/models` says; the first model is the default. */
export function describeModels(models: ReadonlyMap<string, Served>): ServedModel[] {
  return [...models].map(([name, served], i) => {
    const { model, digest, problem, warnings } = served
    const about: About = {
      name,
      version: model.version,
      status: model.status,
      default: i === 0,
      package_digest: digest,
      certified: problem === null,
      synthetic: model.synthetic,
      warnings,
    }
    return isSegmenter(served)
      ? { ...about, ...ofMasks(served) }
      : { ...about, ...ofScores(served as ServedScorer) }
  })
}

export function isSegmenter(served: Served): served is ServedSegmenter {
  return 'segment' in served
}

/** Requests bring volumes, to be segmented or scored. */
export function takesVolumes(served: Served): boolean {
  return isSegmenter(served) || served.model.preprocess.kind === 'volume'
}

function ofScores({ model }: ServedScorer): Omit<ServedScoreModel, keyof About> {
  const { preprocess } = model
  return {
    task: 'classify',
    labels: model.task.labels,
    exclusive: model.task.exclusive,
    operating_points: thresholds(model),
    input:
      preprocess.kind === 'image'
        ? { size: preprocess.size, channels: preprocess.channels, formats: [...INPUT_FORMATS] }
        : {
            size: preprocess.size!,
            channels: preprocess.channels,
            orientation: preprocess.orientation,
            spacing_mm: preprocess.spacing_mm,
            formats: [...VOLUME_FORMATS],
          },
  }
}

function ofMasks({ model }: ServedSegmenter): Omit<ServedVolumeModel, keyof About> {
  const { channels, orientation, spacing_mm, distance_unit } = model.preprocess
  return {
    task: 'segment',
    structures: model.task.structures.map((one, i) => ({ ...one, colour: structureColour(i) })),
    exclusive: model.task.exclusive,
    networks: model.networks.length,
    input: {
      channels,
      orientation,
      spacing_mm,
      patch_size: model.input.patch_size,
      ...(distance_unit !== undefined && { distance_unit }),
      formats:
        distance_unit === 'px' ? ['png', 'jpeg', 'tiff', 'webp', '.zip of these'] : [...VOLUME_FORMATS],
    },
  }
}
