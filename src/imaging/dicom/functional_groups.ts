import type { DataSet } from './data_set.ts'
import type { Keyword } from './tags.ts'

/**
 * Where a frame's facts stand: in its own functional group, else in the one that all frames share, else in the data
 * set itself, as in everything but enhanced multi-frame images.
 *
 * @see DICOM PS3.3, C.7.6.16
 */
export class FrameFacts {
  readonly #dataSet: DataSet
  readonly #shared: DataSet | null
  readonly #own: DataSet | null

  constructor(dataSet: DataSet, own: DataSet | null) {
    this.#dataSet = dataSet
    this.#shared = dataSet.items('SharedFunctionalGroupsSequence')[0] ?? null
    this.#own = own
  }

  /** The item of a functional group; the data set if no group has it. */
  group(sequence: Keyword): DataSet {
    return this.#own?.items(sequence)[0] ?? this.#shared?.items(sequence)[0] ?? this.#dataSet
  }
}

/** The facts of each frame, or of all in one where frames have none of their own. */
export function frameFacts(dataSet: DataSet): FrameFacts[] {
  const own = dataSet.items('PerFrameFunctionalGroupsSequence')
  return own.length === 0 ? [new FrameFacts(dataSet, null)] : own.map((item) => new FrameFacts(dataSet, item))
}
