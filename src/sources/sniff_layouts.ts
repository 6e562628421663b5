import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { CHESTXRAY14_LABELS } from './chestxray14.ts'
import { readManifest } from './phantom_write.ts'
import { readSource } from './read.ts'
import { type Draft, RANDOM_SPLIT } from './sniff_draft.ts'
import { count } from './source_data.ts'
import type { Table } from './table.ts'

/** ChestX-ray14 as downloaded, or a phantom, with the findings that occur. */
export async function sniffChestXray14(root: string): Promise<Draft> {
  const probe = await readSource(
    DataConfig.parse({ root, source: { kind: 'chestxray14' } }),
    Task.parse({ kind: 'classify', labels: [...CHESTXRAY14_LABELS] }),
    root,
  )
  const labels = CHESTXRAY14_LABELS.filter((label) => probe.cases.some((c) => c.labels[label] === 1))
  const isPhantom = (await readManifest(root)) !== null
  return {
    root,
    source: { kind: 'chestxray14' },
    split: probe.has_given_split ? { official: true } : { ...RANDOM_SPLIT },
    labels: labels.length > 0 ? labels : [...CHESTXRAY14_LABELS],
    exclusive: false,
    found: [
      `${isPhantom ? 'a synthetic phantom in the layout of ChestX-ray14' : 'NIH ChestX-ray14 as downloaded'}, with patients, age, sex and view`,
      `${count(labels.length, 'finding')} of 14 ${labels.length === 1 ? 'occurs' : 'occur'}`,
    ],
    unsure:
      probe.skipped.length > 0 ? [`${probe.skipped.length} images that the table names are not there`] : [],
  }
}

/** MHIST's annotations.csv, by its columns. */
export function isMhist(table: Table): boolean {
  return table.columns.includes('Majority Vote Label') && table.columns.includes('Image Name')
}

export function sniffMhist(root: string): Draft {
  return {
    root,
    source: { kind: 'mhist' },
    split: { official: true },
    labels: ['SSA'],
    exclusive: false,
    found: [
      'MHIST as downloaded: sessile serrated adenoma (SSA) against hyperplastic polyp, votes kept as attribute',
    ],
    unsure: ['MHIST names no patients, so every image counts as its own patient'],
  }
}
