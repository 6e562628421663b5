import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeNifti } from '../imaging/nifti/write.ts'
import type { Affine, Triple } from '../imaging/volume.ts'
import { randomStream } from './random_stream.ts'

/** Small folders of volumes in the layouts of the Decathlon and nnU-Net, for tests of every room. */
export interface VolumeCase {
  name: string
  /** [z, y, x] of the image, and of the mask unless it has its own. */
  shape?: Triple
  channels?: number
  affine?: Affine
  mask?: { shape?: Triple; affine?: Affine; values?: readonly number[] }
}

/** Unequal axes and spacings [3, 2, 1.5], z flipped: nothing here survives a mix-up. */
export const SMALL_SHAPE: Triple = [4, 5, 6]
export const SMALL_AFFINE: Affine = [0, 0, 1.5, 7, 0, 2, 0, -3, -3, 0, 0, 11, 0, 0, 0, 1]

/** What a case's image and mask are as files. */
export async function volumeFiles(one: VolumeCase): Promise<{ image: Uint8Array; mask: Uint8Array }> {
  const { name, shape = SMALL_SHAPE, channels = 1, affine = SMALL_AFFINE, mask = {} } = one
  const size = (of: Triple) => of[0] * of[1] * of[2]
  const random = randomStream('volume', name)
  const data = Int16Array.from({ length: channels * size(shape) }, () =>
    Math.round(300 + 90 * random.normal()),
  )
  const maskShape = mask.shape ?? shape
  const values = mask.values ?? [0, 1, 2]
  const labels = Uint8Array.from({ length: size(maskShape) }, (_, i) => values[i % values.length]!)
  return {
    image: await writeNifti({ data, channels, shape, affine }, { gzip: true }),
    mask: await writeNifti(
      { data: labels, channels: 1, shape: maskShape, affine: mask.affine ?? affine },
      { gzip: true },
    ),
  }
}

/** `imagesTr/<name>.nii.gz`, `labelsTr/<name>.nii.gz` and a dataset.json that lists them. */
export async function writeDecathlonLayout(
  root: string,
  cases: readonly VolumeCase[],
  description: object = {},
): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  for (const one of cases) {
    const { image, mask } = await volumeFiles(one)
    await writeFile(join(root, 'imagesTr', `${one.name}.nii.gz`), image)
    await writeFile(join(root, 'labelsTr', `${one.name}.nii.gz`), mask)
  }
  const modality = Array.from({ length: cases[0]?.channels ?? 1 }, (_, channel) => [
    channel,
    `channel ${channel}`,
  ])
  await writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({
      modality: Object.fromEntries(modality),
      labels: { 0: 'background', 1: 'Anterior', 2: 'Posterior' },
      training: cases.map(({ name }) => ({
        image: `./imagesTr/${name}.nii.gz`,
        label: `./labelsTr/${name}.nii.gz`,
      })),
      ...description,
    }),
  )
}

/** `imagesTr/<name>_0000.nii.gz` and on, a file a channel, `labelsTr/<name>.nii.gz` and dataset.json. */
export async function writeNnUNetLayout(
  root: string,
  cases: readonly VolumeCase[],
  description: object = {},
): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  const channels = cases[0]?.channels ?? 1
  for (const one of cases) {
    for (let channel = 0; channel < channels; channel++) {
      const { image, mask } = await volumeFiles({ ...one, channels: 1 })
      const ending = String(channel).padStart(4, '0')
      await writeFile(join(root, 'imagesTr', `${one.name}_${ending}.nii.gz`), image)
      if (channel === 0) await writeFile(join(root, 'labelsTr', `${one.name}.nii.gz`), mask)
    }
  }
  await writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({
      channel_names: Object.fromEntries(Array.from({ length: channels }, (_, c) => [c, `channel ${c}`])),
      labels: { background: 0, Anterior: 1, Posterior: 2 },
      numTraining: cases.length,
      file_ending: '.nii.gz',
      ...description,
    }),
  )
}
