import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { preprocess } from '../imaging/preprocess.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'
import { Golden, type ModelPackage } from '../schema/model_package.ts'
import type { ImageSpec, PreprocessSpec } from '../schema/preprocess.ts'
import { makeFolder, readBytes, sha256 } from '../storage/local.ts'
import { encodeSafetensors, readSafetensors } from '../storage/safetensors.ts'
import { storedTensor, storedValues } from '../storage/stored_values.ts'
import { goldenVolumes } from './golden_volume.ts'
import { type StoredInput, score } from './infer.ts'
import { makePhantoms } from './phantoms.ts'
import { readJson } from './read.ts'

/** Stored units that decoders of a lossy format may differ by on another platform. */
const LOSSY_TOLERANCE = 2

export interface GoldenCase {
  file: string
  bytes: Uint8Array
  tolerance: number
  /** Expected stored values. */
  tensor: StoredVoxels
  /** What the reference network gave for the tensor. */
  logits: number[]
  scores: Record<string, number>
}

/**
 * Phantoms that the spec reads, with their stored tensors.
 *
 * @returns those left out, too: a spec without a window refuses 16-bit files, and then so does the package
 */
export async function goldenInputs(spec: PreprocessSpec): Promise<{
  inputs: GoldenInput[]
  refused: string[]
}> {
  if (spec.kind === 'image') return goldenImages(spec)
  // A volume longer than the network's input along one axis and shorter along another is cropped and padded.
  const volumes = await goldenVolumes(spec, spec.size!)
  const inputs = volumes.map(({ file, bytes, stored }) => ({
    file,
    bytes,
    tolerance: 0,
    tensor: stored.data,
    stored,
  }))
  return { inputs, refused: [] }
}

type GoldenInput = Omit<GoldenCase, 'logits' | 'scores'> & { stored: Pick<StoredInput, 'data'> }

async function goldenImages(spec: ImageSpec): ReturnType<typeof goldenInputs> {
  const inputs: GoldenInput[] = []
  const refused: string[] = []
  for (const { file, bytes, lossy } of await makePhantoms(spec)) {
    try {
      const stored = await preprocess(bytes, spec)
      inputs.push({ file, bytes, tolerance: lossy ? LOSSY_TOLERANCE : 0, tensor: stored.data, stored })
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      refused.push(`${file}: ${cause.message.split('\n')[0]}`)
    }
  }
  if (inputs.length === 0)
    throw new UserError(`The preprocessing reads none of the test images:\n  ${refused.join('\n  ')}`)
  return { inputs, refused }
}

/**
 * Writes `golden/`: the phantoms, their tensors, golden.json with the outputs expected.
 *
 * @param logits [N][L] of the reference network, in the inputs' order
 * @returns the cases as `readGolden` will give them
 */
export async function writeGolden(
  packageDir: string,
  inputs: readonly Omit<GoldenCase, 'logits' | 'scores'>[],
  logits: readonly (readonly number[])[],
  model: ModelPackage,
): Promise<GoldenCase[]> {
  const dir = join(packageDir, 'golden')
  await makeFolder(dir)
  const cases = inputs.map((input, i) => ({
    ...input,
    logits: [...logits[i]!],
    scores: score(logits[i]!, model).scores,
  }))
  for (const { file, bytes, tensor } of cases) {
    await writeFile(join(dir, file), bytes)
    const image = storedTensor(tensor, [1, ...model.input.shape])
    await writeFile(join(dir, `${file}.safetensors`), encodeSafetensors({ image }))
  }
  const golden: Golden = {
    inputs: cases.map(({ file, tolerance, tensor, logits, scores }) => ({
      file,
      tensor_sha256: sha256(new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength)),
      tolerance,
      tensor: `${file}.safetensors`,
      logits,
      scores,
    })),
  }
  await writeFile(join(dir, 'golden.json'), `${JSON.stringify(golden, null, 2)}\n`)
  return cases
}

/**
 * Reads `golden/` back.
 *
 * @throws {UserError} naming the file that is missing or damaged
 */
export async function readGolden(packageDir: string): Promise<GoldenCase[]> {
  const dir = join(packageDir, 'golden')
  const where = join(dir, 'golden.json')
  const golden = readJson(Golden, new TextDecoder().decode(await readBytes(where)), where)
  return Promise.all(
    golden.inputs.map(async ({ file, tolerance, tensor, tensor_sha256, logits, scores }) => {
      const data = storedValues((await readSafetensors(join(dir, tensor))).image?.data)
      if (data === null) throw new UserError(`${join(dir, tensor)} holds no tensor "image" of a stored type.`)
      if (sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) !== tensor_sha256)
        throw new UserError(
          `${join(dir, tensor)} is corrupt: its tensor has another hash than golden.json says.`,
        )
      return { file, bytes: await readBytes(join(dir, file)), tolerance, tensor: data, logits, scores }
    }),
  )
}
