import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { readTextIfExists } from '../storage/local.ts'

const pair = z.object({ image: z.string(), label: z.string() })
const values = z.union([z.int(), z.array(z.int())])
/** What the Decathlon and both versions of nnU-Net write; other keys are left alone. */
const DatasetJson = z.object({
  modality: z.record(z.string(), z.string()).optional(),
  channel_names: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.union([z.string(), values])),
  training: z.array(pair).optional(),
  file_ending: z.string().optional(),
})

/** A data set of volumes in its own words. */
export interface DatasetDescription {
  /** 'MRI', 'CT', 'FLAIR', …: one a channel, in order. */
  modalities: string[]
  /** Mask value → its name, background included. */
  maskValues: Map<number, string>
  /** Pairs of image and mask, relative to the root; null where the file lists none. */
  training: { image: string; label: string }[] | null
  fileEnding: string
}

/**
 * Reads `dataset.json`: modalities, and what the values of the masks mean. The Decathlon writes `"1": "Anterior"`,
 * nnU-Net `"Anterior": 1`, or `"whole tumour": [1, 2, 3]` for regions.
 *
 * @param layout named in messages
 * @throws {UserError} when it is missing, not JSON, or does not say what it must
 */
export async function readDatasetJson(root: string, layout: string): Promise<DatasetDescription> {
  const path = join(root, 'dataset.json')
  const text = await readTextIfExists(path)
  if (text === null)
    throw new UserError(
      `There is no dataset.json in ${root}, so nothing says what the masks' values mean.\n` +
        `  do: point data.root at a folder in ${layout} layout, or write that file.`,
    )
  const json = parse(DatasetJson, parseJson(text, path), path)
  const modalities = inOrder(json.channel_names ?? json.modality ?? {}, path)
  return {
    modalities,
    maskValues: maskValues(json.labels, path),
    training: json.training ?? null,
    fileEnding: json.file_ending ?? '.nii.gz',
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UserError(`This file is not JSON: ${(cause as Error).message}\n  at: ${path}`, { cause })
  }
}

/** `{ "0": "FLAIR", "1": "T1w" }` as a list. */
function inOrder(named: Record<string, string>, path: string): string[] {
  const names = Object.keys(named).map((_, i) => named[String(i)])
  if (names.length === 0 || names.some((name) => name === undefined))
    throw new UserError(
      `${path}: modality (or channel_names) must name the channels "0", "1", … without a gap; found ${Object.keys(named).join(', ') || 'none'}.`,
    )
  return names as string[]
}

function maskValues(labels: z.infer<typeof DatasetJson>['labels'], path: string): Map<number, string> {
  const named = new Map<number, string>()
  for (const [key, value] of Object.entries(labels)) {
    if (typeof value === 'string') {
      if (!/^\d+$/.test(key))
        throw new UserError(`${path}: labels names "${key}": "${value}"; one of them must be a number.`)
      named.set(Number(key), value)
    } else if (typeof value === 'number') {
      named.set(value, key)
    } else {
      // A region is made of values; a value of its own may be named by another key.
      for (const one of value) if (!named.has(one)) named.set(one, value.length === 1 ? key : `${one}`)
    }
  }
  if (!named.has(0)) named.set(0, 'background')
  const odd = [...named.keys()].filter((value) => value < 0 || value > 255)
  if (odd.length > 0)
    throw new UserError(`${path}: labels has the values ${odd.join(', ')}; masks are read as 0 to 255.`)
  return new Map([...named].sort(([a], [b]) => a - b))
}
