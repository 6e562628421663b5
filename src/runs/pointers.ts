import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointPointer } from '../schema/run.ts'
import { readTextIfExists, writeAtomic } from '../storage/local.ts'
import { RUN_FILES } from './folder.ts'
import { readRecord } from './read_record.ts'

/**
 * `checkpoints/best.json` or `latest.json`; null when there is none yet.
 *
 * @throws {UserError} when it is damaged
 */
export async function readPointer(
  runDir: string,
  which: 'best' | 'latest',
): Promise<CheckpointPointer | null> {
  const advice =
    `  do: fiducial train <recipe> --run-dir ${runDir}\n` +
    '      writes it again from the checkpoints beside it; what is trained is kept.'
  return readRecord(CheckpointPointer, join(runDir, RUN_FILES[which]), advice)
}

/**
 * Writes damaged pointers again from the newest checkpoint, whose state names itself and the best one.
 *
 * @returns what was mended, relative to the run
 */
export async function repairPointers(runDir: string): Promise<string[]> {
  const mended: string[] = []
  for (const which of ['best', 'latest'] as const) {
    const isWhole = await readPointer(runDir, which).then(
      () => true,
      () => false,
    )
    const pointer = isWhole ? null : (await newestState(runDir))?.[which]
    if (!pointer) continue
    await writeAtomic(join(runDir, RUN_FILES[which]), `${JSON.stringify(pointer, null, 2)}\n`)
    mended.push(RUN_FILES[which])
  }
  return mended
}

/** What repairing needs of a checkpoint's state.json; the engine owns the rest. */
const State = CheckpointPointer.omit({ folder: true }).extend({ best: CheckpointPointer.nullable() }).strip()

async function newestState(
  runDir: string,
): Promise<Record<'best' | 'latest', CheckpointPointer | null> | null> {
  const folder = join(runDir, RUN_FILES.checkpoints)
  const names = (await readdir(folder)).filter((name) => /^step-\d+$/.test(name)).sort()
  for (const name of names.reverse()) {
    const text = await readTextIfExists(join(folder, name, 'state.json'))
    const parsed = State.safeParse(parseJson(text ?? ''))
    if (!parsed.success) continue
    const { step, epoch, metrics, best } = parsed.data
    return {
      latest: { step, epoch, folder: name, metrics },
      best: best !== null && names.includes(best.folder) ? best : null,
    }
  }
  return null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
