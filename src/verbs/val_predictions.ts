import { join } from 'node:path'
import { runEngine } from '../python/engine.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { isFinished, type RunRecord } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import { Prediction } from '../schema/prediction.ts'
import { readTextIfExists, sha256 } from '../storage/local.ts'
import type { Io } from './io.ts'

/** Prediction lines as they lie in a file, every byte as it was written. */
export interface StoredPredictions {
  predictions: Prediction[]
  sha256: string
}

/**
 * A run's predictions on validation by its best checkpoint. Those of a finished run that are gone are computed anew.
 *
 * @throws {UserError} when the training has not finished, or the file is damaged
 */
export async function readValPredictions(run: RunRecord, io: Io): Promise<StoredPredictions> {
  const path = join(run.dir, RUN_FILES.valPredictions)
  let stored = await readPredictions(path)
  if (stored === null && isFinished(run.status)) {
    io.log(`${RUN_FILES.valPredictions} is gone: computing it anew from the best checkpoint`)
    await predictPart(run, 'val', path, io)
    stored = await readPredictions(path)
  }
  if (stored !== null && stored.predictions.length > 0) return stored
  throw new UserError(
    `${run.dir} has no validation predictions: its training has not finished (${run.status}).\n` +
      '  do: run "fiducial train" with its recipe; it resumes.',
  )
}

/** Has the best checkpoint score a part of the split; its lines and their sha256 are written to `out`. */
export async function predictPart(
  run: RunRecord,
  part: 'train' | 'val' | 'test',
  out: string,
  io: Io,
): Promise<void> {
  const args = ['--run-dir', run.dir, '--checkpoint', 'best', '--part', part, '--out', out]
  await runEngine('predict', args, { signal: io.signal, onLog: io.log })
}

/**
 * Prediction lines of a file, or null when there is none.
 *
 * @throws {UserError} when its bytes are not those of the sha256 beside it, or a line is no prediction
 */
export async function readPredictions(path: string): Promise<StoredPredictions | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  const found = sha256(text)
  const expected = (await readTextIfExists(`${path}.sha256`))?.split(' ', 1)[0] ?? found
  if (found !== expected)
    throw new UserError(
      'The predictions are damaged: their bytes are not those that were written.\n' +
        `  in: ${path}\n  expected: sha256 ${expected}\n  found:    sha256 ${found}\n${AGAIN}`,
    )
  const lines = text.split('\n').filter((line) => line !== '')
  const predictions = lines.map((line, i) => {
    try {
      return Prediction.parse(JSON.parse(line))
    } catch (cause) {
      throw new UserError(`The predictions are damaged: line ${i + 1} is none.\n  in: ${path}\n${AGAIN}`, {
        cause,
      })
    }
  })
  return { predictions, sha256: found }
}

const AGAIN =
  '  do: delete that file and run the same command again; the best checkpoint of a finished run computes it anew.'
