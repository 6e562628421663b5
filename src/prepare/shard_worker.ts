import { UserError } from '../schema/errors.ts'
import type { FromWorker, ToWorker } from './worker_pool.ts'

/**
 * A worker process of `prepare`: makes the shards that its parent names, one at a time, and ends with its parent.
 * A process of its own rather than a thread, so that its memory can be bounded and its death survived.
 */
const progressEvery = 16

process.on('disconnect', () => process.exit(1))
process.on('SIGINT', () => {}) // the terminal sends it to the whole group; the parent decides
process.on('message', (message: ToWorker) => void work(message))

async function work({ job, folder, root, plan }: ToWorker): Promise<void> {
  let unsent = 0
  const onProgress = (cases: number) => {
    unsent += cases
    if (unsent < progressEvery) return
    send({ kind: 'progress', cases: unsent })
    unsent = 0
  }
  try {
    const { preprocess: spec, mask_values: maskValues, mask_labels: maskLabels, brick, deidentified } = plan
    if (spec.kind === 'volume') {
      const { writeVolumeShard } = await import('./volume_writer.ts')
      await writeVolumeShard(job, {
        folder,
        root,
        spec,
        maskValues,
        maskLabels,
        brick,
        deidentified,
        onProgress,
      })
    } else {
      const { writeShard } = await import('./shard_writer.ts')
      await writeShard(job, { folder, root, spec, deidentified, onProgress })
    }
    send({
      kind: 'finished',
      name: job.name,
      cases: unsent,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    })
  } catch (error) {
    const { message, stack } = error as Error
    const isUser = error instanceof UserError
    send({ kind: 'failed', message: isUser ? message : (stack ?? message), isUser })
  }
}

function send(message: FromWorker): void {
  process.send?.(message)
}
