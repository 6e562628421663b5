import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { AnyPackage, SegmentPackage } from '../schema/segment_package.ts'
import { type LoadedPackage, type LoadOptions, openPackage } from './load.ts'
import {
  findDamage,
  isSegmentPackage,
  type PackageManifest,
  readAnyManifest,
  refuseDamage,
  refuseUncertified,
} from './read.ts'
import { outputsOf, type Segmented, segmentFiles } from './segment.ts'
import { openSession, type Session } from './session.ts'

/** A package ready to segment volumes, without Python. */
export interface LoadedSegmenter {
  dir: string
  model: SegmentPackage
  /** SHA-256 that names the package in every result. */
  digest: string
  /** Why the certificate does not vouch for the package; null when it does. */
  problem: string | null
  networks: readonly Session[]
  /** Warnings that hold for every result of this package. */
  warnings: string[]
  /** The mask of one case: its file, a file a channel, or the instances of its series. */
  segment(images: readonly Uint8Array[]): Promise<Segmented>
  close(): Promise<void>
}

/**
 * Opens a model package of either kind: compares every file with its hash, reads the certificate, loads the networks.
 *
 * @throws {UserError} when the folder is no package, is damaged, or is not certified (unless `allowFailed`)
 */
export async function loadAnyPackage(
  dir: string,
  options: LoadOptions = {},
): Promise<LoadedPackage | LoadedSegmenter> {
  const manifest = await readAnyManifest(dir)
  const problem = refuseUncertified(manifest, options)
  refuseDamage(await findDamage(manifest))
  return isOfImages(manifest)
    ? openPackage(manifest, problem, options)
    : openSegmenter(manifest as PackageManifest<SegmentPackage>, problem, options)
}

/**
 * The same of a package that segments volumes.
 *
 * @throws {UserError} when it scores images
 */
export async function loadSegmenter(dir: string, options: LoadOptions = {}): Promise<LoadedSegmenter> {
  const loaded = await loadAnyPackage(dir, options)
  if (isSegmenter(loaded)) return loaded
  await loaded.close()
  throw new UserError(`The package ${dir} scores images; one that segments volumes is needed here.`)
}

const isOfImages = (manifest: PackageManifest<AnyPackage>): manifest is PackageManifest =>
  !isSegmentPackage(manifest.model)

export function isSegmenter(loaded: LoadedPackage | LoadedSegmenter): loaded is LoadedSegmenter {
  return 'segment' in loaded
}

/** The package's networks and segment function, unchecked: `findDamage` and `certificateProblem` are the caller's. */
export async function openSegmenter(
  { dir, model, digest }: Pick<PackageManifest<SegmentPackage>, 'dir' | 'model' | 'digest'>,
  problem: string | null,
  options: Pick<LoadOptions, 'threads'> = {},
): Promise<LoadedSegmenter> {
  const threads = options.threads ?? Math.min(4, availableParallelism())
  const networks: Session[] = []
  const close = async () => {
    for (const session of networks) await session.close()
  }
  try {
    for (const { file } of model.networks) {
      const path = join(dir, file)
      const session = await openSession(path, { threads, input: model.input.name, output: model.output.name })
      networks.push(session)
      checkGraph(session, model, path)
    }
  } catch (cause) {
    await close()
    throw cause
  }
  return {
    dir,
    model,
    digest,
    problem,
    networks,
    warnings: packageWarnings(model, problem),
    segment: (images) => segmentFiles(images, model, networks),
    close,
  }
}

/** @throws {UserError} naming the file, what was expected and what it has */
function checkGraph(graph: Pick<Session, 'inputs' | 'outputs'>, model: SegmentPackage, path: string): void {
  const { input, output, preprocess } = model
  const fits = (found: readonly (number | string)[], expected: readonly number[]) =>
    found.length === 5 &&
    typeof found[0] === 'string' &&
    found.slice(1).every((dim, i) => typeof dim === 'string' || dim === expected[i])
  const mistakes: string[] = []
  const x = graph.inputs.find((one) => one.name === input.name)
  const expected = [preprocess.channels, ...input.patch_size]
  if (graph.inputs.length !== 1 || !x) mistakes.push(`it has not the one input "${input.name}"`)
  else if (x.dtype !== input.dtype || !fits(x.shape, expected))
    mistakes.push(
      `its input is ${x.dtype} [${x.shape.join(', ')}], expected ${input.dtype} [batch, ${expected.join(', ')}]`,
    )
  const y = graph.outputs.find((one) => one.name === output.name)
  if (!y) mistakes.push(`it has no output "${output.name}"`)
  else if (!fits(y.shape, [outputsOf(model), ...input.patch_size]))
    mistakes.push(
      `its output is [${y.shape.join(', ')}], expected [batch, ${[outputsOf(model), ...input.patch_size].join(', ')}]`,
    )
  if (mistakes.length > 0)
    throw new UserError(
      `${path} does not fit its model.json: ${mistakes.join('; ')}.\n  do: package the run again.`,
    )
}

function packageWarnings(model: SegmentPackage, problem: string | null): string[] {
  const warnings: string[] = []
  if (model.synthetic)
    warnings.push('The model was trained on synthetic phantom images: not for any use on patients.')
  if (problem !== null) warnings.push(`The package is not certified: ${problem}.`)
  if (model.status === 'retired') warnings.push('The package is retired.')
  return warnings
}
