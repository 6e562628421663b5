import { isAbsolute, join, normalize, resolve } from 'node:path'
import { z } from 'zod'
import { UserError } from '../schema/errors.ts'
import { Certificate, ModelPackage } from '../schema/model_package.ts'
import { parse } from '../schema/parse.ts'
import { PREPROCESS_CODE_VERSION } from '../schema/preprocess.ts'
import { type AnyPackage, SegmentPackage } from '../schema/segment_package.ts'
import { readTextIfExists, sha256, sha256File } from '../storage/local.ts'

/** What a package says of itself. */
export interface PackageManifest<M extends AnyPackage = ModelPackage> {
  dir: string
  model: M
  /** SHA-256 of model.json's bytes. They name the hash of every other file, so this one covers the package. */
  digest: string
  /** What the certificate vouches for; see `certifiedDigest`. */
  certifiedDigest: string
  certificate: Certificate | null
}

/** A package as it lies on disk, its files checked against model.json. */
export interface PackageOnDisk<M extends AnyPackage = ModelPackage> extends PackageManifest<M> {
  /** Files that are missing or changed: one line each. Empty for a whole package. */
  damage: string[]
}

/**
 * Reads model.json and certificate.json, and compares every file with the hash that model.json names.
 *
 * @throws {UserError} when the folder is no package, or model.json or certificate.json cannot be understood
 */
export async function readPackage(path: string): Promise<PackageOnDisk> {
  const manifest = await readManifest(path)
  return { ...manifest, damage: await findDamage(manifest) }
}

/** A package of either kind. */
export async function readAnyPackage(path: string): Promise<PackageOnDisk<AnyPackage>> {
  const manifest = await readAnyManifest(path)
  return { ...manifest, damage: await findDamage(manifest) }
}

/**
 * As `readPackage`, without reading the other files.
 *
 * @throws {UserError} when it is a package that segments
 */
export async function readManifest(path: string): Promise<PackageManifest> {
  const manifest = await readAnyManifest(path)
  const { model } = manifest
  if (isSegmentPackage(model))
    throw new UserError(`The package ${path} segments; a package that gives scores is needed here.`)
  return { ...manifest, model }
}

export function isSegmentPackage(model: AnyPackage): model is SegmentPackage {
  return model.task.kind === 'segment'
}

/** model.json and certificate.json of a package of either kind. */
export async function readAnyManifest(path: string): Promise<PackageManifest<AnyPackage>> {
  const dir = resolve(path)
  const text = await readTextIfExists(join(dir, 'model.json'))
  if (text === null)
    throw new UserError(
      `${path} is not a model package: it has no model.json.\n` +
        '  do: name the folder that "fiducial package" wrote, usually <run>/package.',
    )
  const model = readModel(text, join(dir, 'model.json'))
  const certificateText = await readTextIfExists(join(dir, 'certificate.json'))
  return {
    dir,
    model,
    digest: sha256(text),
    certifiedDigest: certifiedDigest(text),
    certificate:
      certificateText === null ? null : readJson(Certificate, certificateText, join(dir, 'certificate.json')),
  }
}

function readModel(text: string, where: string): AnyPackage {
  const kind = readJson(z.looseObject({ task: z.looseObject({ kind: z.string() }) }), text, where).task.kind
  if (kind !== 'segment') {
    const model = readJson(ModelPackage, text, where)
    checkConsistent(model, where)
    return model
  }
  const model = readJson(SegmentPackage, text, where)
  const mistakes = codeVersionMistakes(model)
  if (model.preprocess.dtype !== model.input.dtype)
    mistakes.push(`preprocess.dtype is ${model.preprocess.dtype}, input.dtype is ${model.input.dtype}`)
  for (const { file, normalization } of model.networks) {
    if (normalization.mean.length !== model.preprocess.channels)
      mistakes.push(`the normalization of ${file} needs ${model.preprocess.channels} values`)
    if (!Object.hasOwn(model.files, file)) mistakes.push(`files does not list ${file}`)
  }
  refuseMistakes(mistakes, where)
  return model
}

/**
 * What a certificate vouches for: all of model.json but `status`, so that approving a package keeps its
 * certificate and moving a threshold does not.
 */
export function certifiedDigest(modelJson: string): string {
  const { status: _, ...rest } = JSON.parse(modelJson) as Record<string, unknown>
  return sha256(JSON.stringify(rest))
}

/**
 * Why the package may not be relied on, or null when its certificate passed and belongs to this very model.json.
 */
export function certificateProblem(
  onDisk: Pick<PackageManifest, 'certificate' | 'certifiedDigest'>,
): string | null {
  const { certificate } = onDisk
  if (!certificate) return 'it has no certificate.json'
  const failed = certificate.checks.filter((check) => !check.passed).map((check) => check.name)
  if (!certificate.passed || failed.length > 0)
    return `its certificate failed${failed.length > 0 ? `: ${failed.join(', ')}` : ''}`
  if (certificate.certified_sha256 !== onDisk.certifiedDigest)
    return 'model.json was changed after the certificate was made'
  return null
}

/**
 * @param options `allowFailed`: open it all the same
 * @returns why the package may not be relied on, or null
 * @throws {UserError} when it may not, unless that is allowed
 */
export function refuseUncertified(
  manifest: Pick<PackageManifest, 'dir' | 'certificate' | 'certifiedDigest'>,
  options: { allowFailed?: boolean },
): string | null {
  const problem = certificateProblem(manifest)
  if (problem === null || options.allowFailed) return problem
  throw new UserError(
    `The package ${manifest.dir} is not certified: ${problem}.\n` +
      '  do: see what fails with "fiducial package --verify <package>", or package the run again; ' +
      '--allow-failed uses it all the same, for trials only.',
  )
}

/** Files of a package that are missing or changed, one line each. */
export async function findDamage({ dir, model: { files } }: PackageManifest<AnyPackage>): Promise<string[]> {
  const damage: string[] = []
  for (const [name, expected] of Object.entries(files)) {
    const path = join(dir, name)
    if (isAbsolute(name) || normalize(name) !== name || name.startsWith('..')) {
      damage.push(`${name}: model.json names a path outside the package`)
      continue
    }
    const found = await sha256File(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT' || cause.code === 'EISDIR' || cause.code === 'ENOTDIR') return null
      throw cause
    })
    if (found === null) damage.push(`${path} is missing`)
    else if (found !== expected)
      damage.push(
        `${path} is corrupt: its sha256 is ${found.slice(0, 12)}…, expected ${expected.slice(0, 12)}…`,
      )
  }
  if (!Object.hasOwn(files, 'model.onnx')) damage.push('model.json lists no model.onnx')
  return damage
}

/** @throws {UserError} naming the file when it is not JSON or not of the schema */
export function readJson<S extends z.ZodType>(schema: S, text: string, where: string): z.output<S> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UserError(`${where} is not JSON: ${(cause as Error).message}\n  do: package the run again.`, {
      cause,
    })
  }
  return parse(schema, value, where)
}

/** What the schema cannot say: parts of model.json that must agree with each other. */
function checkConsistent(model: ModelPackage, where: string): void {
  const mistakes: string[] = []
  const { input, preprocess, task, operating_points } = model
  if (preprocess.size === null) mistakes.push('preprocess.size is null, but the network takes one size')
  const stored = [preprocess.channels, ...(preprocess.size ?? [])]
  if (preprocess.size !== null && stored.join() !== input.shape.join())
    mistakes.push(`preprocess gives [${stored.join(', ')}], input.shape is [${input.shape.join(', ')}]`)
  if (input.dtype !== preprocess.dtype && (preprocess.kind === 'volume' || input.dtype !== 'float32'))
    mistakes.push(`preprocess.dtype is ${preprocess.dtype}, input.dtype is ${input.dtype}`)
  if (input.dtype === 'float32' && input.normalization === null)
    mistakes.push('input.normalization is null, but a float32 input needs one')
  for (const key of ['mean', 'std'] as const)
    if (input.normalization && input.normalization[key].length !== preprocess.channels)
      mistakes.push(`input.normalization.${key} needs ${preprocess.channels} values`)
  for (const label of Object.keys(operating_points))
    if (!task.labels.includes(label)) mistakes.push(`operating_points.${label} is none of the task's labels`)
  if (new Set(task.labels).size !== task.labels.length) mistakes.push('task.labels repeats a name')
  mistakes.push(...codeVersionMistakes(model))
  refuseMistakes(mistakes, where)
}

function codeVersionMistakes({ preprocess_code_version: found }: AnyPackage): string[] {
  if (found === PREPROCESS_CODE_VERSION) return []
  return [
    `preprocess_code_version is ${found}; this fiducial computes version ` +
      `${PREPROCESS_CODE_VERSION}. Use the version of fiducial that made the package, or package the run again`,
  ]
}

function refuseMistakes(mistakes: readonly string[], where: string): void {
  if (mistakes.length > 0) throw new UserError(`${where} contradicts itself:\n  ${mistakes.join('\n  ')}`)
}

/**
 * @throws {UserError} naming each missing or changed file
 */
export function refuseDamage(damage: readonly string[]): void {
  if (damage.length === 0) return
  throw new UserError(
    `The package is damaged:\n  ${damage.join('\n  ')}\n` +
      '  do: copy the package again from where it was made, or package the run again.',
  )
}
