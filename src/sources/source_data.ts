import type { Grid } from '../imaging/geometry/grid.ts'
import type { Case } from '../schema/case.ts'
import type { DataConfig, Source } from '../schema/data.ts'
import type { ClassifyTask, SegmentTask, Task } from '../schema/task.ts'
import type { PrivateFolder } from './private_folder.ts'

/** What a data set holds, read from its tables and folders; no pixel has been touched yet. */
export interface SourceData {
  cases: Case[]
  /** The task's labels or structures, in output order. Of labels every case has each; of structures the masks tell. */
  labels: string[]
  /** Of volumes, what the data set says about them; absent for images. */
  volumes?: VolumeFacts
  warnings: string[]
  /** Some case carries the data set's own part in `split`. */
  has_given_split: boolean
  /** Made by a generator. Whatever shows these cases or numbers from them says so. */
  synthetic: boolean
  /** Rows or files that cannot become a case, with the reason and what to do. */
  skipped: Skipped[]
  /** Cases go by salted hashes; paths of their files may be shown nowhere. */
  deidentified?: boolean
}

export interface Skipped {
  /** Relative to the root; of de-identified data, the case id. */
  file: string
  reason: string
  /** Where it is known which case it would have been. */
  case_id?: string
  /** Of de-identified data, the file itself. */
  path?: string
}

export interface SourceRequest<T extends Task = ClassifyTask> {
  data: DataConfig
  task: T
  /** Absolute path of `data.root`. */
  root: string
  /** Aborting it stops what takes long: making images. */
  signal?: AbortSignal | undefined
  /** False: a data set that would be generated is only planned; its images may not be there. True unless given. */
  mayGenerate?: boolean | undefined
  /** Cases are volumes. */
  isOfVolumes?: boolean | undefined
  /** Keeps what tells who a case is; nothing is remembered without it. */
  privateFolder?: PrivateFolder | undefined
}

/** What a data set of volumes says about its files. */
export interface VolumeFacts {
  /** 'MRI', 'CT', …, one a channel; null where nothing names them. */
  modalities: string[] | null
  /** Values that its masks may hold, background included → their names. */
  maskValues: ReadonlyMap<number, string>
  /** Of DICOM masks: names of their structures → value; absent: by their own numbers. */
  maskNames?: Readonly<Record<string, number>>
  /** Of files that are still to be made, where they will lie: one a case. */
  planned?: { grid: Grid; channels: number }[]
}

export type SourceOf<K extends Source['kind']> = Extract<Source, { kind: K }>
export type SourceReader<K extends Source['kind']> = (
  source: SourceOf<K>,
  request: SourceRequest,
) => Promise<SourceData>

/** A reader of volumes with masks. */
export type MaskReader<K extends Source['kind']> = (
  source: SourceOf<K>,
  request: SourceRequest<SegmentTask>,
) => Promise<SourceData>

/** Characters of one item, which may be a path: a cell can hold megabytes. */
const MOST_SHOWN = 200

/** `a, b, c and 12 more`: the first few of a list that may be long. */
export function firstFew(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).map((item) => {
    const text = JSON.stringify(item).slice(1, -1)
    return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`
  })
  const more = items.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** `1 row`, `3 rows`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
