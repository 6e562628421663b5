import { randomBytes } from 'node:crypto'
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import { type Certificate, ModelPackage } from '../schema/model_package.ts'
import { explain, makeFolder, readTextIfExists, sha256File } from '../storage/local.ts'
import { type CertifyOptions, certify, hasPassed, type RealCase, validationRecord } from './certify.ts'
import { type GoldenCase, writeGolden } from './golden.ts'
import { type LoadedPackage, openPackage } from './load.ts'
import { modelCard } from './model_card.ts'
import { certifiedDigest, readPackage } from './read.ts'

export interface PackageMaterials {
  /** model.json, all but the files' hashes. */
  model: Omit<ModelPackage, 'files'>
  golden: readonly Omit<GoldenCase, 'logits' | 'scores'>[]
  /** Outputs [N][L] of the reference network for the golden tensors. */
  goldenLogits: readonly (readonly number[])[]
  validation: readonly RealCase[]
  /** What the package is compared with, in words. */
  reference: string
  /** Of the run on validation, for the model card. */
  evaluation: Evaluation | null
  created: Date
  tolerance: number
  /** Scores of cases through the server, for a package that is open. */
  served(loaded: LoadedPackage, cases: readonly (readonly Uint8Array[])[]): Promise<number[][]>
}

/**
 * Completes a folder that holds `model.onnx`: golden phantoms, model.json, certificate.json, MODEL_CARD.md.
 *
 * @returns the certificate, passed or not: the caller decides what a failed one means
 */
export async function completePackage(dir: string, materials: PackageMaterials): Promise<Certificate> {
  const { validation, tolerance } = materials
  const unhashed = { ...materials.model, files: {} }
  const golden = await writeGolden(dir, materials.golden, materials.goldenLogits, unhashed)
  const model = ModelPackage.parse({ ...unhashed, files: await hashFiles(dir) })
  const modelJson = `${JSON.stringify(model, null, 2)}\n`
  await writeFile(join(dir, 'model.json'), modelJson)

  const loaded = await openPackage(await readPackage(dir), null)
  try {
    const options: CertifyOptions = {
      tolerance,
      served: (cases) => materials.served(loaded, cases),
    }
    const checks = await certify(loaded, golden, validation, options)
    const certificate: Certificate = {
      format: 1,
      passed: hasPassed(checks),
      certified_sha256: certifiedDigest(modelJson),
      checks,
      tolerance,
      reference: materials.reference,
      validation: validationRecord(validation, model.task.labels),
      created: materials.created.toISOString(),
    }
    await writeFile(join(dir, 'certificate.json'), `${JSON.stringify(certificate, null, 2)}\n`)
    await writeFile(join(dir, 'MODEL_CARD.md'), modelCard(model, certificate, materials.evaluation))
    return certificate
  } finally {
    await loaded.close()
  }
}

/** Every file below `dir` → sha256, sorted by name. */
export async function hashFiles(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort()
  const hashes: Record<string, string> = {}
  for (const name of names) hashes[name] = await sha256File(join(dir, name))
  return hashes
}

/** Whose package a folder holds; another tool's model has no run and is told by its name. */
export interface PackageOwner {
  name: string
  run: string | null
  /** For a package that lies in its run: what was trained, as the run's folder may be renamed or copied. */
  training?: Training | undefined
}

const TRAINING = ['recipe_hash', 'set_id', 'split_id', 'seed'] as const
export type Training = Pick<ModelPackage['provenance'], (typeof TRAINING)[number]>

/**
 * Builds a package in a folder beside `out` and renames it there when it is whole, so that no reader ever sees half
 * of one. An older package of the same model is replaced. What a kill left beside `out` is put right first.
 *
 * @throws {UserError} what `refuseOccupied` says
 */
export async function publishPackage<T>(
  out: string,
  owner: PackageOwner,
  build: (dir: string) => Promise<T>,
): Promise<T> {
  const target = resolve(out)
  await settleLeftovers(target)
  await refuseOccupied(target, owner)
  const beside = join(dirname(target), `.${basename(target)}-${randomBytes(4).toString('hex')}`)
  const temporary = `${beside}.tmp`
  const old = `${beside}.old`
  try {
    await makeFolder(temporary)
    const result = await build(temporary)
    await rename(target, old).catch(ignoreAbsent)
    await rename(temporary, target)
    await rm(old, { recursive: true, force: true })
    return result
  } catch (cause) {
    await rename(old, target).catch(() => {}) // there is none unless the last rename failed
    await rm(temporary, { recursive: true, force: true })
    throw explain(cause, target)
  }
}

/** A build that wrote nothing for so long is not under way any more. */
const ABANDONED_MS = 24 * 3_600_000

/** A kill between two renames leaves the older package beside its place: it goes back. Abandoned builds are removed. */
async function settleLeftovers(target: string): Promise<void> {
  const folder = dirname(target)
  const start = `.${basename(target)}-`
  const names: string[] = await readdir(folder).catch((cause) => ignoreAbsent(cause) ?? [])
  for (const name of names) {
    const kind = name.startsWith(start) && /^[0-9a-f]{8}\.(old|tmp)$/.exec(name.slice(start.length))?.[1]
    if (!kind) continue
    const path = join(folder, name)
    if (kind === 'old' && !names.includes(basename(target))) {
      // Of several the first goes back; the others then find the place taken.
      if (
        await rename(path, target).then(
          () => true,
          () => false,
        )
      )
        continue
    }
    const info = await stat(path).catch(ignoreAbsent)
    if (kind === 'old' || (info && Date.now() - info.mtimeMs > ABANDONED_MS))
      await rm(path, { recursive: true, force: true })
  }
}

/**
 * @throws {UserError} when `out` holds something that a new package of `owner` must not replace
 */
export async function refuseOccupied(out: string, owner: PackageOwner): Promise<void> {
  const entries = await readdir(out).catch((cause) => ignoreAbsent(cause) ?? [])
  if (entries.length === 0) return
  const text = await readTextIfExists(join(out, 'model.json'))
  const there = text === null ? null : parseJson(text)
  const advice = '  do: name another folder with --out, or move this one away.'
  if (there === null) throw new UserError(`${out} is not empty and holds no model package.\n${advice}`)
  if (there.status !== 'draft')
    throw new UserError(`${out} holds a package that is ${String(there.status)}; it is kept.\n${advice}`)
  const run = there.provenance?.run ?? null
  const { training } = owner
  if (training && there.provenance && TRAINING.every((key) => there.provenance?.[key] === training[key]))
    return
  if (run !== owner.run || (run === null && there.name !== owner.name))
    throw new UserError(`${out} holds the package of another model, ${String(there.name)}.\n${advice}`)
}

function parseJson(text: string): Partial<ModelPackage> | null {
  try {
    return JSON.parse(text) as Partial<ModelPackage>
  } catch {
    return null
  }
}

function ignoreAbsent(cause: unknown): undefined {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
}
