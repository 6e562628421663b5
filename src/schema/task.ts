import { z } from 'zod'

export const ClassifyTask = z.strictObject({
  kind: z.literal('classify'),
  labels: z
    .array(z.string().min(1))
    .min(1)
    .superRefine((labels, context) => {
      for (const [i, label] of labels.entries())
        if (labels.indexOf(label) < i)
          context.addIssue({ code: 'custom', path: [i], message: `"${label}" stands twice` })
    })
    .describe('Findings or classes, in output order. One label = binary; several = multi-label.'),
  exclusive: z.boolean().default(false).describe('Multi-class: exactly one label holds (softmax).'),
})
/** The recipe's `task`. */
export const Task = z.discriminatedUnion('kind', [ClassifyTask])
export type Task = z.infer<typeof Task>
