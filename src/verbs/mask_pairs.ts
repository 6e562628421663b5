import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { listFolder } from '../storage/local.ts'

/** Files of one case, with the same name in their folders. */
export interface MaskFiles {
  /** The name without .nii, .nii.gz, .png or .tif. */
  case_id: string
  prediction: string
  reference: string
}

/**
 * Pairs the masks of two folders by name; `.nii`, `.nii.gz`, `.png` and `.tif` are the same name. Files of other kinds
 * (nnU-Net writes some beside its masks) and hidden ones are passed over. Every mask must have its counterpart: predictions
 * that are not there would drop out of the means, which could only get better by it.
 *
 * @returns by case id
 * @throws {UserError} naming the masks without a counterpart, or a folder that has none
 */
export async function maskPairs(predictionsDir: string, labelsDir: string): Promise<MaskFiles[]> {
  const [predictions, references] = [await masksIn(predictionsDir), await masksIn(labelsDir)]
  const unpredicted = [...references.keys()].filter((id) => !predictions.has(id))
  const unlabelled = [...predictions.keys()].filter((id) => !references.has(id))
  if (unpredicted.length > 0 || unlabelled.length > 0)
    throw new UserError(
      [
        'The masks of the two folders do not pair by name.',
        unpredicted.length > 0 &&
          `${count(unpredicted.length, 'reference')} without a prediction: ${firstFew(unpredicted)}`,
        unlabelled.length > 0 &&
          `${count(unlabelled.length, 'prediction')} without a reference: ${firstFew(unlabelled)}`,
        `do: give both the same names (found ${exampleOf(predictions)} in ${basename(predictionsDir)} and ` +
          `${exampleOf(references)} in ${basename(labelsDir)}); write an empty mask where nothing was found, and ` +
          'leave out a case only by taking it out of both folders.',
      ]
        .filter((line) => line !== false)
        .join('\n  '),
    )
  return [...references.keys()].sort().map((case_id) => ({
    case_id,
    prediction: predictions.get(case_id)!,
    reference: references.get(case_id)!,
  }))
}

/** Whether a path is a folder. False where nothing is. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

const MASK = /\.(nii(\.gz)?|png|tiff?)$/i

/** Case id → path of its file. */
async function masksIn(dir: string): Promise<Map<string, string>> {
  const names = await listFolder(dir)
  const found = new Map<string, string>()
  for (const name of names.filter((name) => MASK.test(name) && !name.startsWith('.')).sort()) {
    const case_id = name.replace(MASK, '')
    const other = found.get(case_id)
    if (other !== undefined)
      throw new UserError(
        `${basename(other)} and ${name} are the same case.\n  in: ${dir}\n  do: keep one of them.`,
      )
    found.set(case_id, join(dir, name))
  }
  if (found.size === 0)
    throw new UserError(
      `There is no mask here: ${names.length === 0 ? 'the folder is empty or does not exist' : `none of ${count(names.length, 'file')} ends in .nii, .nii.gz, .png or .tif`}.\n  in: ${dir}\n` +
        '  do: name a folder of masks in NIfTI, or of 2D images in PNG or TIFF, one a case.',
    )
  return found
}

const exampleOf = (masks: ReadonlyMap<string, string>): string => basename([...masks.values()][0]!)
