/**
 * A recipe for the phantom volumes, commented; it runs as it is.
 *
 * @param root where the phantom is generated, as it shall stand in the recipe
 * @param schema path of the recipe's JSON Schema, for editors; null leaves it out
 */
export function phantomVolumesRecipe(root: string, schema: string | null): string {
  return `${schema === null ? '' : `# yaml-language-server: $schema=${schema}\n`}# SYNTHETIC volumes with known truth: they check the instrument and show nobody.
# The generator writes the exact volumes of all structures into phantom_volumes.json; compare, never headline.
name: phantom_volumes
data:
  root: ${JSON.stringify(root)}         # generated there when first read
  source:
    kind: phantom_volumes
    patients: 24
    voxel_mm: 2.5                               # slices lie 1.5 to 2 times as far apart, along any axis
    seed: 0
    prevalence: 0.6                             # of a lesion in the organ
    difficulty: 0.3                             # 0: structures are plain to see; 1: invisible
  split: { val: 0.25, test: 0.25, seed: 0 }     # by patient
prepare: { spacing_mm: [3, 3, 3], orientation: RAS, intensity: zscore }
task: { kind: segment, labels: { Organ: 1, Lesion: 2 } }
model: { kind: unet3d, channels: [16, 32, 64], residual_units: 1 }
augment: { flip: [] }                           # only its side tells the organ from its twin
train: { epochs: 40, global_batch: 4, lr: 4.0e-3, seed: 0 }
evaluate: { subgroups: [orientation] }
`
}
