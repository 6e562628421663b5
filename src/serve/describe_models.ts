import { INPUT_FORMATS, thresholds } from '../package/infer.ts'
import { structureColour } from '../package/mask_views.ts'
import type { ServedImageModel, ServedModel, ServedVolumeModel } from '../schema/serving.ts'
import type { Served, ServedImages } from './app.ts'
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
      ? { ...about, ...ofVolumes(served) }
      : { ...about, ...ofImages(served as ServedImages) }
  })
}

export function isSegmenter(served: Served): served is ServedSegmenter {
  return 'segment' in served
}

function ofImages({ model }: ServedImages): Omit<ServedImageModel, keyof About> {
  return {
    task: 'classify',
    labels: model.task.labels,
    exclusive: model.task.exclusive,
    operating_points: thresholds(model),
    input: {
      size: model.preprocess.size,
      channels: model.preprocess.channels,
      formats: [...INPUT_FORMATS],
    },
  }
}

function ofVolumes({ model }: ServedSegmenter): Omit<ServedVolumeModel, keyof About> {
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
        distance_unit === 'px'
          ? ['png', 'jpeg', 'tiff', 'webp', '.zip of these']
          : ['.nii', '.nii.gz', '.zip of these or of a DICOM series'],
    },
  }
}
