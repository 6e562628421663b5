import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeNifti } from '../../imaging/nifti/write.ts'
import type { Affine, Triple } from '../../imaging/volume.ts'
import { parseRecipe } from '../../schema/parse.ts'
import type { Recipe } from '../../schema/recipe.ts'

/** Voxels [z, y, x] of the first; each further case is a slice longer along x. */
export const SMALL_VOLUME: Triple = [5, 8, 11]
/** RAS+ and LPS, spacing [2, 1, 1.5] mm. */
const AFFINES: Affine[] = [
  [0, 0, 1.5, -10, 0, 1, 0, 20, 2, 0, 0, -30, 0, 0, 0, 1],
  [0, 0, -1.5, 10, 0, -1, 0, 27, 2, 0, 0, -30, 0, 0, 0, 1],
]

/** A data set in the Decathlon's layout: ramps with a box of `organ` in each and of `lesion` in every other case. */
export async function writeSmallVolumes(root: string, count: number): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  for (let n = 0; n < count; n++) {
    const shape: Triple = [SMALL_VOLUME[0], SMALL_VOLUME[1], SMALL_VOLUME[2] + n]
    const size = shape[0] * shape[1] * shape[2]
    const data = Int16Array.from({ length: size }, (_, i) => ((i * 7 + n * 13) % 200) + 1)
    const mask = new Uint8Array(size)
    for (let z = 1; z < 4; z++)
      for (let y = 2; y < 6; y++)
        for (let x = 3; x < 8; x++) {
          const isLesion = n % 2 === 0 && z === 2 && y > 3
          mask[(z * shape[1] + y) * shape[2] + x] = isLesion ? 2 : 1
        }
    const affine = AFFINES[n % 2]!
    const file = (folder: string) => join(root, folder, `${smallVolumeId(n)}.nii.gz`)
    await writeFile(file('imagesTr'), await writeNifti({ data, channels: 1, shape, affine }, { gzip: true }))
    await writeFile(
      file('labelsTr'),
      await writeNifti({ data: mask, channels: 1, shape, affine }, { gzip: true }),
    )
  }
  await writeDatasetJson(root, count)
}

export async function writeDatasetJson(root: string, count: number, changes: object = {}): Promise<void> {
  const training = Array.from({ length: count }, (_, n) => ({
    image: `./imagesTr/${smallVolumeId(n)}.nii.gz`,
    label: `./labelsTr/${smallVolumeId(n)}.nii.gz`,
  }))
  const json = {
    modality: { 0: 'MRI' },
    labels: { 0: 'background', 1: 'organ', 2: 'lesion' },
    training,
    ...changes,
  }
  await writeFile(join(root, 'dataset.json'), JSON.stringify(json))
}

export const smallVolumeId = (n: number) => `case_${String(n).padStart(3, '0')}`

export function smallVolumeRecipe(root: string, changes: { data?: object; prepare?: object } = {}): Recipe {
  return parseRecipe(
    {
      name: 'volumes',
      data: { root, source: 'decathlon', split: { folds: 2, fold: 0 }, ...changes.data },
      prepare: { ...changes.prepare },
      task: { kind: 'segment', labels: { organ: 1, lesion: 2 } },
    },
    'a recipe of small volumes',
  )
}
