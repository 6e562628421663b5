import type { Command } from 'commander'

/** Every verb, in the order of `fiducial --help`. A verb lives in `commands/<verb>.ts` and is listed here. */
export const commands = {} satisfies Record<string, () => Command>
