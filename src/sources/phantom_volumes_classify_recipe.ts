/**
 * A recipe that tells phantom volumes with a lesion from those without, commented; it runs as it is.
 *
 * @param root where the phantom is generated, as it shall stand in the recipe
 * @param schema path of the recipe's JSON Schema, for editors; null leaves it out
 */
export function phantomVolumesClassifyRecipe(root: string, schema: string | null): string {
  return `${schema === null ? '' : `# yaml-language-server: $schema=${schema}\n`}# SYNTHETIC volumes with known truth: they check the instrument and show nobody.
# Which of them hold a lesion, and how large, stands in phantom_volumes.json; compare, never headline.
name: phantom_volumes_classify
data:
  root: ${JSON.stringify(root)}  # generated there when first read
  source:
    kind: phantom_volumes
    patients: 100
    voxel_mm: 3.5                               # slices lie 1.5 to 2 times as far apart, along any axis
    seed: 0
    prevalence: 0.5                             # of a lesion in the organ
    difficulty: 0.1                             # 0: lesions are plain to see; 1: invisible
  split: { val: 0.25, test: 0.25, seed: 0 }     # by patient
prepare: { spacing_mm: [4, 4, 4], size: [28, 24, 30], orientation: RAS, intensity: zscore }
task: { kind: classify, labels: [lesion] }
model: { kind: resnet3d, depth: 10, base_channels: 16 }
train: { epochs: 20, global_batch: 8, lr: 2.0e-3, seed: 0 }
evaluate: { operating_point: { maximize: youden }, subgroups: [orientation] }
`
}
