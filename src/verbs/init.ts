import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { UserError } from '../schema/errors.ts'
import { parseRecipe } from '../schema/parse.ts'
import type { InitResult } from '../schema/results.ts'
import { draftLabelledVolumes } from '../sources/draft_labelled_volumes.ts'
import { draftRecipe } from '../sources/draft_recipe.ts'
import { draftVolumeRecipe } from '../sources/draft_volume_recipe.ts'
import { phantomRecipe } from '../sources/phantom_recipe.ts'
import { phantomVolumesClassifyRecipe } from '../sources/phantom_volumes_classify_recipe.ts'
import { phantomVolumesRecipe } from '../sources/phantom_volumes_recipe.ts'
import type { SourceData } from '../sources/read.ts'
import { type Sniffed, sniff } from '../sources/sniff.ts'
import { type SniffedLabelledVolumes, sniffLabelledVolumes } from '../sources/sniff_labelled_volumes.ts'
import { type SniffedVolumes, sniffVolumes } from '../sources/sniff_volumes.ts'
import { firstFew } from '../sources/source_data.ts'
import { writeAtomic } from '../storage/local.ts'
import { colourText } from './colour_text.ts'
import type { Io } from './io.ts'

export interface InitOptions {
  /** Where the recipe goes. */
  out: string
  /** Replace a recipe that is there. */
  force: boolean
  dryRun: boolean
}

export type { InitResult } from '../schema/results.ts'

/**
 * Looks at a folder, a table or the name of a data set that fiducial can make, and writes a commented recipe
 * that runs as it is.
 *
 * @throws {UserError} when nothing says what the images show, or a recipe is there already
 */
export async function init(target: string, options: InitOptions, io: Io): Promise<InitResult> {
  const recipe = resolve(options.out)
  if (existsSync(recipe) && !options.force && !options.dryRun)
    throw new UserError(
      `${options.out} exists and is kept.\n  do: name another file with --out, or overwrite it with --force.`,
    )
  // A name wins over a folder of that name; ./phantom names the folder.
  const draft =
    target in PHANTOMS || !existsSync(target)
      ? draftNamed(target, recipe)
      : await draftFrom(target, recipe, io)
  parseRecipe(parseYaml(draft.text), recipe)
  if (!options.dryRun) await writeAtomic(recipe, draft.text)
  return { ...draft, recipe, dry_run: options.dryRun }
}

type Draft = Omit<InitResult, 'recipe' | 'dry_run'>

async function draftFrom(target: string, recipe: string, io: Io): Promise<Draft> {
  io.log(`Looking at ${target} …`)
  const volumes = await sniffVolumes(target, io.signal)
  if (volumes !== null) return draftVolumes(volumes, recipe)
  const labelled = await sniffLabelledVolumes(target, io.signal)
  if (labelled !== null) return draftLabelled(labelled, target, recipe)
  const sniffed = await sniff(target)
  const name = recipeName((await stat(target)).isDirectory() ? resolve(target) : sniffed.root)
  return {
    name,
    ...whatWasFound(sniffed, sniffed.labels, describePixels(sniffed)),
    text: draftRecipe(sniffed, {
      name,
      root: rootFrom(recipe, sniffed.root),
      schema: schemaFrom(recipe),
    }),
  }
}

/** What of a draft is said alike of images and of volumes. */
function whatWasFound(
  { data, source, found, unsure }: Pick<Sniffed, 'data' | 'found' | 'unsure'> & { source: { kind: string } },
  labels: readonly string[],
  description: string,
): Omit<Draft, 'name' | 'text'> {
  return {
    source: source.kind,
    synthetic: data.synthetic,
    cases: data.cases.length,
    patients: new Set(data.cases.map((c) => c.patient_id)).size,
    labels: labelCounts(data, labels),
    skipped: data.skipped.length,
    recognised: [...found, description],
    please_check: unsure,
    warnings: data.warnings,
  }
}

function draftVolumes(sniffed: SniffedVolumes, recipe: string): Draft {
  const { root } = sniffed
  const name = recipeName(root)
  return {
    name,
    ...whatWasFound(sniffed, sniffed.data.labels, describeGrids(sniffed.look)),
    text: draftVolumeRecipe(sniffed, { name, root: rootFrom(recipe, root), schema: schemaFrom(recipe) }),
  }
}

async function draftLabelled(
  sniffed: SniffedLabelledVolumes,
  target: string,
  recipe: string,
): Promise<Draft> {
  const { root } = sniffed
  const name = recipeName((await stat(target)).isDirectory() ? resolve(target) : root)
  return {
    name,
    ...whatWasFound(sniffed, sniffed.labels, describeGrids(sniffed.look)),
    text: draftLabelledVolumes(sniffed, { name, root: rootFrom(recipe, root), schema: schemaFrom(recipe) }),
  }
}

function labelCounts({ cases }: SourceData, labels: readonly string[]): Draft['labels'] {
  return Object.fromEntries(
    labels.map((label) => {
      const count = (value: 0 | 1 | null) => cases.filter((c) => c.labels[label] === value).length
      return [label, { positive: count(1), negative: count(0), unknown: count(null) }]
    }),
  )
}

/** A data set by name: those that fiducial makes itself. */
function draftNamed(target: string, recipe: string): Draft {
  const made = PHANTOMS[target]
  if (made === undefined)
    throw new UserError(
      `There is no folder or file ${target}, and no data set of that name.\n  do: check the path; the data sets that can be made here are ${Object.keys(PHANTOMS).join(', ')}.`,
    )
  return {
    name: target,
    source: target,
    synthetic: true,
    cases: null,
    patients: null,
    labels: {},
    skipped: 0,
    recognised: [`${target}: synthetic ${made.shows} with known truth, generated when first read`],
    please_check: [],
    warnings: [],
    text: made.recipe(rootFrom(recipe, resolve(dirname(recipe), target)), schemaFrom(recipe)),
  }
}

const PHANTOMS: Record<string, { shows: string; recipe: typeof phantomRecipe }> = {
  phantom: { shows: 'radiographs', recipe: phantomRecipe },
  phantom_volumes: { shows: 'volumes with masks', recipe: phantomVolumesRecipe },
  phantom_volumes_classify: { shows: 'volumes with labels', recipe: phantomVolumesClassifyRecipe },
}

/** As in the draft's comments: every volume's header was read. */
function describeGrids(look: SniffedVolumes['look']): string {
  const { shape, spacing_mm, orientations } = look
  if (look.distance_unit === 'px') {
    const span = (k: 1 | 2) => [...new Set([shape.min[k], shape.max[k]])].join(' to ')
    const channels = `${look.channels} ${look.channels === 1 ? 'channel' : 'channels'}`
    return `2D images of ${span(1)} rows by ${span(2)} columns, ${channels}`
  }
  const triple = (values: readonly number[]) => values.map((n) => Number(n.toPrecision(4))).join(' × ')
  const stored = Object.entries(orientations).map(([codes, n]) => `${codes} (${n})`)
  return `NIfTI of ${triple(shape.median)} voxels of ${triple(spacing_mm.median)} mm in the median (z × y × x of RAS), stored as ${stored.join(', ')}`
}

function describePixels({ look }: Sniffed): string {
  const span = (r: { min: number; max: number }) => (r.min === r.max ? `${r.min}` : `${r.min} to ${r.max}`)
  const kind = look.is_stained ? 'RGB, coloured like stained tissue' : colourText(look)
  return (
    `${look.formats.join(' and ').toUpperCase()}, ${look.bits}-bit ${kind}, ${span(look.height)} rows by ${span(look.width)} columns` +
    ` (${look.sampled} images sampled${look.unreadable > 0 ? `; ${look.unreadable} more unreadable${look.unreadable_files.length > 0 ? `: ${firstFew(look.unreadable_files)}` : ''}` : ''})`
  )
}

/** Letters, digits, dot, dash and underscore, starting with a letter or digit. */
function recipeName(folder: string): string {
  const name = basename(folder)
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|[-.]+$/g, '')
  return name === '' ? 'images' : name.toLowerCase()
}

/** Relative while the two lie near each other, so that both can move together. */
function rootFrom(recipe: string, root: string): string {
  const path = relative(dirname(recipe), root).split(sep).join('/')
  if (path === '') return '.'
  return path.startsWith('../../../') || isAbsolute(path) ? root : path
}

/** The schema beside this code, by which editors complete recipes. */
function schemaFrom(recipe: string): string | null {
  const schema = fileURLToPath(new URL('../schema/recipe.schema.json', import.meta.url))
  return existsSync(schema) ? rootFrom(recipe, schema) : null
}
