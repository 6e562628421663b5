import { join, resolve } from 'node:path'
import type { PrivateFolder } from '../sources/private_folder.ts'

/** Where a shard set is made and where it ends up. */
export interface SetPlace {
  /** The folder named by --out, or null for a folder named by the set below `parent`. */
  out: string | null
  /** Holds the sets and the hashes of their sources; `out` itself when that is named. */
  parent: string
  /** Holds unfinished work. */
  staging: string
  /** Holds the locks on that work. */
  locks: string
}

/** @param prepared folder of sets without --out: `prepared/` in the working directory unless named */
export function setPlace(
  options: { out?: string | undefined; prepared?: string | undefined },
  stagingKey: string,
): SetPlace {
  if (options.out !== undefined) {
    const out = resolve(options.out)
    return { out, parent: out, staging: join(out, '.staging'), locks: join(out, '.locks') }
  }
  const parent = resolve(options.prepared ?? 'prepared')
  const name = stagingKey.slice(0, 12)
  return {
    out: null,
    parent,
    staging: join(parent, `.staging-${name}`),
    locks: join(parent, `.locks-${name}`),
  }
}

/** Where what tells who the cases of a place are is kept, beside its sets. */
export function privateFolder(
  options: { out?: string | undefined; prepared?: string | undefined },
  { mayWrite }: { mayWrite: boolean },
): PrivateFolder {
  return { path: join(setPlace(options, '').parent, 'private'), mayWrite }
}
