import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Volume } from '../imaging/volume.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { Certificate } from '../schema/model_package.ts'
import { SegmentPackage } from '../schema/segment_package.ts'
import { hasPassed } from './certify.ts'
import { certifySegmenter, type SegmentReference } from './certify_segment.ts'
import { type GoldenVolume, writeGoldenVolumes } from './golden_volume.ts'
import { type LoadedSegmenter, openSegmenter } from './load_segmenter.ts'
import { certifiedDigest } from './read.ts'
import { segmentCard } from './segment_card.ts'
import { hashFiles } from './write.ts'

export type ServedMask = (loaded: LoadedSegmenter, files: readonly Uint8Array[]) => Promise<Volume>

export interface SegmentMaterials extends Omit<SegmentReference, 'golden'> {
  /** model.json, all but the files' hashes. */
  model: Omit<SegmentPackage, 'files'>
  golden: readonly GoldenVolume[]
  /** Of the reference for each of `golden`, float32 [K, Z, Y, X]. */
  goldenProbabilities: readonly Float32Array[]
  /** What the package is compared with, in words. */
  reference: string
  /** Of each run on its validation split, for the model card. */
  evaluations: readonly SegmentEvaluation[]
  created: Date
  tolerance: number
  /** The mask of one case's files through the server, for a package that is open. */
  served: ServedMask
}

/**
 * Completes a folder that holds the networks: golden phantoms, model.json, certificate.json, MODEL_CARD.md.
 *
 * @returns the certificate, passed or not: the caller decides what a failed one means
 */
export async function completeSegmentPackage(dir: string, materials: SegmentMaterials): Promise<Certificate> {
  const { patches, cases, tolerance } = materials
  const golden = await writeGoldenVolumes(
    dir,
    materials.golden,
    materials.goldenProbabilities,
    materials.model,
  )
  const model = SegmentPackage.parse({ ...materials.model, files: await hashFiles(dir) })
  const modelJson = `${JSON.stringify(model, null, 2)}\n`
  await writeFile(join(dir, 'model.json'), modelJson)
  const loaded = await openSegmenter({ dir, model, digest: '' }, null)
  try {
    const { checks, volumes } = await certifySegmenter(
      loaded,
      { patches, golden, cases },
      { tolerance, served: (files) => materials.served(loaded, files) },
    )
    const certificate: Certificate = {
      format: 1,
      passed: hasPassed(checks),
      certified_sha256: certifiedDigest(modelJson),
      checks,
      tolerance,
      reference: materials.reference,
      validation: [],
      volumes,
      created: materials.created.toISOString(),
    }
    await writeFile(join(dir, 'certificate.json'), `${JSON.stringify(certificate, null, 2)}\n`)
    await writeFile(join(dir, 'MODEL_CARD.md'), segmentCard(model, certificate, materials.evaluations))
    return certificate
  } finally {
    await loaded.close()
  }
}
