import type { Source } from '../schema/data.ts'
import { readChestXray14 } from './chestxray14.ts'
import { readCsv } from './csv.ts'
import { readFolder } from './folder.ts'
import { readMhist } from './mhist.ts'
import { readPhantom } from './phantom.ts'
import type { SourceReader } from './source_data.ts'

/** Every reader, by the `kind` that a recipe's `data.source` names. */
export const sources = {
  csv: readCsv,
  folder: readFolder,
  chestxray14: readChestXray14,
  mhist: readMhist,
  phantom: readPhantom,
} satisfies { [K in Source['kind']]: SourceReader<K> }
