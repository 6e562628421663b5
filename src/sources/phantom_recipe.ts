/**
 * A recipe for the phantom, commented; it runs as it is.
 *
 * @param root where the phantom is generated, as it shall stand in the recipe
 * @param schema path of the recipe's JSON Schema, for editors; null leaves it out
 */
export function phantomRecipe(root: string, schema: string | null): string {
  return `${schema === null ? '' : `# yaml-language-server: $schema=${schema}\n`}# SYNTHETIC radiographs with known truth: they check the instrument and show nobody.
# The generator writes the best possible AUROC into phantom.json; compare, never headline.
name: phantom
data:
  root: ${JSON.stringify(root)}                 # generated there when first read
  source:
    kind: phantom
    patients: 400
    size: 128
    seed: 0
    difficulty: 0.3                             # 0: the label is plain to see; 1: the picture tells nothing of it
    shared_patients: 0                          # plant this many patients in both parts of the official split
    marker_shortcut: 0                          # 1: the letter L or R gives Effusion away
  split: { official: true, val: 0.2, seed: 0 }  # val is taken from the training list, by patient
prepare: { size: 64, channels: 1 }
task: { kind: classify, labels: [Cardiomegaly, Effusion] }
model: resnet18
augment: { flip_x: 0 }                          # the heart lies on one side
train: { epochs: 15, global_batch: 32, lr: 1.0e-3, seed: 0 }
evaluate: { subgroups: [sex, view] }
`
}
