import { join, resolve } from 'node:path'
import { findByReference } from '../runs/find.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { UserError } from '../schema/errors.ts'
import type { DryRunResult, PackageResult } from '../schema/results.ts'
import type { Io } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

export interface PackagingRequest {
  runs: readonly string[]
  onnx?: string
  verify?: string
  preprocess?: string
  reference?: string
  data?: string
  out?: string
  set: readonly string[]
  packageVersion?: string
  dryRun: boolean
}

/**
 * The three doors of `package`: a run of ours, another tool's ONNX file, or the verification of what is there.
 *
 * @throws {UserError} unless exactly one is asked for, with its own flags only
 */
export async function choosePackaging(
  request: PackagingRequest,
  io: Io,
): Promise<PackageResult | DryRunResult> {
  const { runs, onnx, verify, out } = request
  if (verify?.startsWith('--'))
    throw new UserError(
      '--verify takes the folder of the package.\n  do: write "fiducial package --verify <package> --data <recipe>".',
    )
  const doors = [runs[0], onnx, verify].filter((one) => one !== undefined)
  if (doors.length !== 1)
    throw new UserError(
      'Name one thing: a run folder, or --onnx <file>, or --verify <package>.\n  do: "fiducial package --help" has an example of each.',
    )
  refuseStray(request)
  const data = request.data === undefined ? {} : { data: await loadRecipe(request.data) }
  if (verify !== undefined) return (await import('./package_verify.ts')).verifyPackage(verify, data, io)
  const target = out === undefined ? {} : { out }
  if (onnx !== undefined) {
    if (request.dryRun)
      return would(
        `certify ${onnx} against ${request.reference ?? '--reference, which is not given yet'}`,
        out,
      )
    const { preprocess, reference } = request
    return (await import('./package_onnx.ts')).packageOnnx(
      { onnx, ...(preprocess && { preprocess }), ...(reference && { reference }), ...target },
      io,
    )
  }
  if (runs.length > 1) {
    const { packageEnsemble } = await import('./package_segment.ts')
    const dirs = []
    for (const one of runs) dirs.push((await findByReference(one)).dir)
    if (request.dryRun) return would(`export and certify the runs ${dirs.join(', ')} together`, out)
    const named = request.packageVersion === undefined ? {} : { version: request.packageVersion }
    return packageEnsemble(dirs, { ...data, ...target, ...named, set: request.set }, io)
  }
  const { dir } = await findByReference(runs[0]!)
  if (request.dryRun) return would(`export and certify the run ${dir}`, out ?? join(dir, RUN_FILES.package))
  const version = request.packageVersion === undefined ? {} : { version: request.packageVersion }
  const { packageRun } = await import('./package.ts')
  return packageRun(dir, { ...data, ...target, ...version, set: request.set }, io)
}

function would(what: string, out: string | undefined): DryRunResult {
  return {
    dry_run: true,
    would: [what, `write the package to ${out === undefined ? './<name>-package' : resolve(out)}`],
  }
}

/** A flag of another door would be ignored in silence. */
function refuseStray(request: PackagingRequest): void {
  const door = request.onnx !== undefined ? '--onnx' : request.verify !== undefined ? '--verify' : 'a run'
  const belong: Record<string, readonly string[]> = {
    '--preprocess': ['--onnx'],
    '--reference': ['--onnx'],
    '--data': ['a run', '--verify'],
    '--out': ['a run', '--onnx'],
    '--set': ['a run'],
    '--package-version': ['a run'],
  }
  const given: Record<string, boolean> = {
    '--preprocess': request.preprocess !== undefined,
    '--reference': request.reference !== undefined,
    '--data': request.data !== undefined,
    '--out': request.out !== undefined,
    '--set': request.set.length > 0,
    '--package-version': request.packageVersion !== undefined,
  }
  for (const [flag, doors] of Object.entries(belong))
    if (given[flag] && !doors.includes(door))
      throw new UserError(
        `${flag} goes with ${doors.join(' or ')}, not with ${door}.\n  do: leave ${flag} out.`,
      )
}
