import type { Recipe } from '../schema/recipe.ts'
import type { PrepareDryRun } from '../schema/results.ts'
import { freeBytes } from '../storage/local.ts'
import { findSet, refuseForeignFolder } from './find_set.ts'
import type { PrepareRequest } from './request.ts'
import { begin, type PrepareOptions } from './run.ts'
import { samplePlan } from './sample_plan.ts'
import { readIndex } from './shard_set.ts'
import { planJobs } from './staged_shards.ts'

/** What `prepareShards` would make, how large and where. A sample of the images is read; nothing is written. */
export async function dryRunPrepare(recipe: Recipe, options: PrepareOptions): Promise<PrepareDryRun> {
  const { request, place, hashes } = await begin(recipe, { ...options, mayGenerate: false })
  const found = await findSet(request, place, hashes, options.signal, { mayRead: false })
  const free = await freeBytes(place.parent)
  if (found !== null) {
    const { num_cases, shards } = (await readIndex(found.dir))!
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
    return {
      dry_run: true,
      out: found.dir,
      cases: num_cases,
      shards: shards.length,
      bytes,
      free_bytes: free,
      reused: true,
    }
  }
  await refuseForeignFolder(place)
  const plan = await samplePlan(request.source.synthetic ? withoutSample(request) : request)
  return {
    dry_run: true,
    out: place.parent,
    cases: request.cases.length,
    shards: planJobs(request.cases, request.prepare, plan).length,
    bytes: request.cases.length * plan.case_bytes,
    free_bytes: free,
    reused: false,
  }
}

/** A phantom's pixels are 8-bit, and may not be there to be looked at. */
function withoutSample(request: PrepareRequest): PrepareRequest {
  if (request.prepare.kind === 'volume') return request
  const { dtype, window } = request.prepare
  const prepare: PrepareRequest['prepare'] = {
    ...request.prepare,
    dtype: dtype === 'auto' ? 'uint8' : dtype,
    window: window === 'auto' ? { low: 0, high: 255 } : window,
  }
  return { ...request, prepare }
}
