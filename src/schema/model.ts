import { z } from 'zod'

const weights = z
  .string()
  .default('none')
  .describe(
    'none, pretrained, timm:<tag>, a path to a .safetensors file, or a run folder. Never silently random.',
  )

export const TimmModel = z.strictObject({
  kind: z.string().describe('Any timm model name.'),
  weights,
  drop_rate: z.number().min(0).lt(1).default(0).describe('Dropout before the classifier.'),
  drop_path_rate: z.number().min(0).lt(1).default(0).describe('Stochastic depth.'),
})
export const MlpModel = z.strictObject({
  kind: z.literal('mlp'),
  hidden: z.array(z.int().positive()).default([512, 256]).describe('Units of each hidden layer.'),
  dropout: z.number().min(0).lt(1).default(0),
  weights,
})
export const FileModel = z.strictObject({
  file: z.string().describe('A Python file, relative to the recipe; copied into the run and hashed.'),
  name: z
    .string()
    .describe(
      'The class or function in it: called as Name(in_channels=…, num_outputs=…, size=[y, x], **args).',
    ),
  args: z.record(z.string(), z.json()).default({}),
  weights,
})
/** A name, `{ kind, … }` or `{ file, name, args }`; a bare name becomes `{ kind: name }`. */
export const Model = z.union([MlpModel, FileModel, TimmModel])
export type Model = z.infer<typeof Model>
