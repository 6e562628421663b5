import type { Source } from '../schema/data.ts'
import { readChestXray14 } from './chestxray14.ts'
import { readCsv, readCsvMasks } from './csv.ts'
import { readDecathlon } from './decathlon.ts'
import { readDicom } from './dicom.ts'
import { readFolder } from './folder.ts'
import { readMhist } from './mhist.ts'
import { readNnUNet } from './nnunet.ts'
import { readPhantom } from './phantom.ts'
import { readPhantomVolumeLabels, readPhantomVolumes } from './phantom_volumes.ts'
import type { MaskReader, SourceReader } from './source_data.ts'

/** Readers of labelled images, by the `kind` that a recipe's `data.source` names. */
export const labelSources = {
  csv: readCsv,
  folder: readFolder,
  chestxray14: readChestXray14,
  mhist: readMhist,
  dicom: readDicom,
  phantom: readPhantom,
  phantom_volumes: readPhantomVolumeLabels,
} satisfies { [K in Source['kind']]?: SourceReader<K> }

/** Readers of volumes and images with masks. */
export const maskSources = {
  csv: readCsvMasks,
  decathlon: readDecathlon,
  nnunet: readNnUNet,
  dicom: readDicom,
  phantom_volumes: readPhantomVolumes,
} satisfies { [K in Source['kind']]?: MaskReader<K> }
