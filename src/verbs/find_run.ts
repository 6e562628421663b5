import { findByReference } from '../runs/find.ts'

/** Folder of the run that a path, or the bare name of a folder below runs/, means. */
export async function findRun(reference: string): Promise<string> {
  return (await findByReference(reference)).dir
}
