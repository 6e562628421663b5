import { z } from 'zod'

const names = z.string().min(1)
export const ClassifyTask = z.strictObject({
  kind: z.literal('classify'),
  labels: z
    .array(names)
    .min(1)
    .superRefine((labels, context) => {
      for (const [i, label] of labels.entries())
        if (labels.indexOf(label) < i)
          context.addIssue({ code: 'custom', path: [i], message: `"${label}" stands twice` })
    })
    .describe('Findings or classes, in output order. One label = binary; several = multi-label.'),
  exclusive: z.boolean().default(false).describe('Multi-class: exactly one label holds (softmax).'),
})
export type ClassifyTask = z.infer<typeof ClassifyTask>

/** 0 is background, whatever the data set calls it. */
const maskValue = z.int().min(1).max(255)
export const SegmentTask = z
  .strictObject({
    kind: z.literal('segment'),
    labels: z
      .record(names, maskValue)
      .refine((labels) => Object.keys(labels).length > 0, 'name one structure at least')
      .refine(
        (labels) => new Set(Object.values(labels)).size === Object.keys(labels).length,
        'a mask value stands for one label: two have the same',
      )
      .exactOptional()
      .describe('Structure → its value in the masks. They exclude each other: softmax with background.'),
    regions: z
      .record(names, z.array(maskValue).min(1))
      .refine((regions) => Object.keys(regions).length > 0, 'name one region at least')
      .exactOptional()
      .describe('Region → the mask values it is made of. They may overlap: a sigmoid each.'),
  })
  .refine(
    (task) => (task.labels === undefined) !== (task.regions === undefined),
    'give labels or regions, one of the two',
  )
export type SegmentTask = z.infer<typeof SegmentTask>

/** The recipe's `task`. */
export const Task = z.discriminatedUnion('kind', [ClassifyTask, SegmentTask])
export type Task = z.infer<typeof Task>

/** A labelled structure of masks: a label, or a region of several values. */
export const Structure = z.strictObject({
  name: z.string(),
  values: z.array(maskValue).min(1).describe('Values of the mask that belong to it.'),
})
export type Structure = z.infer<typeof Structure>

/** What a segmentation finds, in output order. */
export function structuresOf({ labels, regions }: SegmentTask): Structure[] {
  return labels !== undefined
    ? Object.entries(labels).map(([name, value]) => ({ name, values: [value] }))
    : Object.entries(regions!).map(([name, values]) => ({ name, values }))
}

/** Labels or structures, in output order. */
export function labelNames(task: Task): string[] {
  return task.kind === 'classify' ? task.labels : structuresOf(task).map(({ name }) => name)
}

/** Exactly one output holds: softmax rather than a sigmoid each. */
export function isExclusive(task: Task): boolean {
  return task.kind === 'classify' ? task.exclusive : task.labels !== undefined
}

/**
 * The value that each structure is written with in a mask. Overlapping regions are painted in their order, outermost
 * first: what no later region shares names a region, so that the mask keeps the data set's own code.
 */
export function paintedValues(structures: readonly Structure[]): number[] {
  return structures.map(({ values }, i) => {
    const later = new Set(structures.slice(i + 1).flatMap((one) => one.values))
    return values.find((value) => !later.has(value)) ?? values[0]!
  })
}
