import { z } from 'zod'
import { sha256 } from './shard_set.ts'

const index = z.int().min(0)
const size = z.int().positive()

/** How much of a mask a structure is, and where: no voxel of it. */
export const MaskSummary = z.strictObject({
  voxels: z.int().min(0),
  place: z
    .strictObject({
      first: z.tuple([index, index, index]).describe('[z, y, x] of its box.'),
      last: z.tuple([index, index, index]).describe('[z, y, x] of its box, within it.'),
      centroid: z
        .tuple([z.number(), z.number(), z.number()])
        .describe('[z, y, x], mean index of its voxels.'),
    })
    .nullable()
    .describe('null: no voxel.'),
})
export type MaskSummary = z.infer<typeof MaskSummary>

/** A real case that a package segmented when it was certified: hashes and measures, never voxels or names. */
export const CertifiedVolume = z.strictObject({
  files_sha256: sha256.describe('As `input_sha256` of a result.'),
  num_files: size,
  tensor_sha256: sha256.describe('Of the stored tensor [C, Z, Y, X], little-endian.'),
  shape: z.tuple([size, size, size]).describe('[z, y, x] of the mask: the grid of the files.'),
  structures: z.record(z.string(), MaskSummary),
})
export type CertifiedVolume = z.infer<typeof CertifiedVolume>
