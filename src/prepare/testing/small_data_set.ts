import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { encodePng } from '#raster'
import { noise } from '../../imaging/testing/samples.ts'
import { parseRecipe } from '../../schema/parse.ts'
import type { Recipe } from '../../schema/recipe.ts'
import { type PreparedSet, type PrepareOptions, prepareShards } from '../run.ts'

/** A case of a data set made for a test. */
export interface SmallCase {
  id: string
  patient: string
  finding: 0 | 1 | ''
  part?: string
  /** Pixels depend on it alone. */
  seed: number
  bits?: 8 | 16
  height?: number
  width?: number
}

/** `count` cases, two a patient, every third with the finding; unequal sides, so that a swapped axis shows. */
export function smallCases(count: number, first = 0): SmallCase[] {
  return Array.from({ length: count }, (_, k) => {
    const i = first + k
    return {
      id: `c${String(i).padStart(4, '0')}`,
      patient: `p${Math.floor(i / 2)}`,
      finding: Math.floor(i / 2) % 3 === 0 ? 1 : 0,
      seed: i + 1,
    }
  })
}

/** Writes `images/<id>.png` where they are missing, and `labels.csv`. */
export async function writeDataSet(root: string, cases: readonly SmallCase[]): Promise<void> {
  await mkdir(join(root, 'images'), { recursive: true })
  const there = new Set(await readdir(join(root, 'images')))
  for (const { id, seed, bits = 8, height = 20, width = 24 } of cases) {
    if (there.has(`${id}.png`)) continue
    await writeFile(join(root, `images/${id}.png`), await encodePng(noise(height, width, 1, bits, seed)))
  }
  await writeTable(root, cases)
}

export async function writeTable(root: string, cases: readonly SmallCase[]): Promise<void> {
  const rows = cases.map(({ id, patient, finding, part }) =>
    [id, `images/${id}.png`, patient, finding, part ?? ''].join(','),
  )
  await writeFile(join(root, 'labels.csv'), ['id,file,patient,finding,part', ...rows, ''].join('\n'))
}

/** A recipe for such a data set; `data` and `prepare` are merged over what every test shares. */
export function smallRecipe(root: string, changes: { data?: object; prepare?: object } = {}): Recipe {
  return parseRecipe(
    {
      name: 'small',
      data: {
        root,
        source: {
          kind: 'csv',
          file: 'labels.csv',
          image: 'file',
          case_id: 'id',
          patient: 'patient',
          labels: { columns: { finding: 'finding' }, unknown: [''] },
        },
        ...changes.data,
      },
      // 12×16 pixels and shards of 10 cases at most
      prepare: { size: [12, 16], shard_mb: 0.00192, ...changes.prepare },
      task: { kind: 'classify', labels: ['finding'] },
    },
    'a recipe of a test',
  )
}

/** `prepareShards` below `work/prepared`, its log lines collected. */
export async function prepareSmall(
  recipe: Recipe,
  work: string,
  options: Partial<PrepareOptions> = {},
): Promise<PreparedSet & { log: string[] }> {
  const log: string[] = []
  const prepared = await prepareShards(recipe, {
    root: recipe.data.root,
    prepared: join(work, 'prepared'),
    workers: 1,
    log: (line) => log.push(line),
    signal: new AbortController().signal,
    ...options,
  })
  return { ...prepared, log }
}

/**
 * SHA-256 of every file of a set by its path. `report.json` alone may differ between equal sets; a table that a killed
 * process left half written is no part of it.
 */
export async function digestSet(dir: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {}
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const name = relative(dir, path)
    if (name === 'report.json' || name.startsWith('private/') || /^tables\/.*\.tmp$/.test(name)) continue
    digests[name] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  }
  return Object.fromEntries(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The same without its tables, of which a set has as many as were asked for. */
export async function digestPixels(dir: string): Promise<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(await digestSet(dir)).filter(([name]) => !name.startsWith('tables/')),
  )
}
