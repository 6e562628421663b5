import { randomBytes } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { encodePng } from '#raster'
import { PhantomSource } from '../schema/data.ts'
import { StoppedError } from '../schema/errors.ts'
import { explain, makeFolder, readTextIfExists, writeAtomic } from '../storage/local.ts'
import { clearGenerated } from './clear_generated.ts'
import { cardiothoracicRatio, drawAnatomy, drawExposure, fluidHeight } from './phantom_anatomy.ts'
import { bestAuroc, separation } from './phantom_optimum.ts'
import { MARKED_LABEL, PHANTOM_LABELS, type PhantomCase, planPhantom } from './phantom_plan.ts'
import { renderPhantom } from './phantom_render.ts'
import { randomStream } from './random_stream.ts'

/** Raise it whenever the same parameters give other files. */
const GENERATOR_VERSION = 1
const MANIFEST = 'phantom.json'
/** Stands in the folder while it is written, so that a stopped generation is known as such and done again. */
const UNFINISHED = 'phantom.unfinished.json'

const number = z.record(z.enum(PHANTOM_LABELS), z.number())
export const PhantomManifest = z.strictObject({
  format: z.literal(1),
  synthetic: z.literal(true),
  description: z.string(),
  generator_version: z.int(),
  parameters: PhantomSource,
  best_auroc: number.describe('Expected AUROC of the best possible observer, patients kept apart.'),
  marked_label: z.enum(PHANTOM_LABELS),
  cases: z.array(
    z.strictObject({
      case_id: z.string(),
      patient_id: z.string(),
      part: z.enum(['train', 'test']),
      labels: z.record(z.enum(PHANTOM_LABELS), z.union([z.literal(0), z.literal(1)])),
      severity: number,
      marker: z.enum(['L', 'R']),
    }),
  ),
})
export type PhantomManifest = z.infer<typeof PhantomManifest>

/**
 * Makes `root` hold the phantom of these parameters: nothing is done when it does already; another phantom is
 * replaced. Images and tables are in the layout of ChestX-ray14; `phantom.json`, written last, holds the truth.
 *
 * @throws {UserError} when the folder holds anything that no phantom put there; {StoppedError} when aborted, and the
 *   folder is then known as unfinished
 */
export async function ensurePhantom(
  source: PhantomSource,
  root: string,
  signal?: AbortSignal,
): Promise<PhantomManifest> {
  const found = await readManifest(root)
  if (found && isSame(found, source)) return found
  const cases = planPhantom(source)
  // The same phantom half written, perhaps by another process at this moment, is written over: its bytes are these.
  const unfinished = `${JSON.stringify({ synthetic: true, generator_version: GENERATOR_VERSION, parameters: source })}\n`
  if ((await readTextIfExists(join(root, UNFINISHED))) !== unfinished)
    await clearGenerated(root, [MANIFEST, UNFINISHED], OWN)
  await writeAtomic(join(root, UNFINISHED), unfinished)
  await writeImages(source, cases, root, signal)
  await writeTables(cases, root, source.size)
  const manifest = describe(source, cases)
  await writeAtomic(join(root, MANIFEST), `${JSON.stringify(manifest)}\n`)
  await rm(join(root, UNFINISHED), { force: true })
  return manifest
}

/** The manifest of a finished phantom of this version, or null. */
export async function readManifest(root: string): Promise<PhantomManifest | null> {
  const text = await readTextIfExists(join(root, MANIFEST))
  if (text === null) return null
  try {
    const parsed = PhantomManifest.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch (cause) {
    if (cause instanceof SyntaxError) return null
    throw cause
  }
}

function isSame(manifest: PhantomManifest, source: PhantomSource): boolean {
  const complete = PhantomSource.parse(source)
  return (
    manifest.generator_version === GENERATOR_VERSION &&
    JSON.stringify(PhantomSource.parse(manifest.parameters)) === JSON.stringify(complete)
  )
}

const OWN = new Set([
  MANIFEST,
  UNFINISHED,
  'Data_Entry_2017_v2020.csv',
  'train_val_list.txt',
  'test_list.txt',
  'images',
])

async function writeImages(
  source: PhantomSource,
  cases: readonly PhantomCase[],
  root: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const folder = join(root, 'images')
  await makeFolder(folder)
  const pending = new Set<Promise<void>>()
  for (const phantom of cases) {
    if (signal?.aborted) break
    const pixels = renderCase(source, phantom)
    const write = writeImage(pixels, source.size, join(folder, `${phantom.case_id}.png`)).finally(() =>
      pending.delete(write),
    )
    pending.add(write)
    if (pending.size >= 8) await Promise.race(pending)
  }
  await Promise.all(pending)
  if (signal?.aborted)
    throw new StoppedError('Stopped while the images were made. The same command makes them anew.')
}

/** Pixels of one image, [size, size] grey: a pure function of the parameters and the case. */
export function renderCase(source: PhantomSource, phantom: PhantomCase): Uint8Array {
  const stream = (purpose: string, ...key: string[]) => randomStream(source.seed, purpose, ...key)
  return renderPhantom(
    {
      anatomy: drawAnatomy(stream('anatomy', phantom.patient_id), phantom.sex),
      exposure: drawExposure(stream('exposure', phantom.case_id), phantom.view),
      cardiothoracic_ratio: cardiothoracicRatio(phantom.severity.Cardiomegaly),
      fluid_height: fluidHeight(phantom.severity.Effusion),
      marker: phantom.marker,
    },
    source.size,
    stream('texture', phantom.case_id),
  )
}

async function writeImage(pixels: Uint8Array, size: number, path: string): Promise<void> {
  const png = await encodePng({ data: pixels, height: size, width: size, channels: 1 })
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`)
  try {
    await writeFile(
      temporary,
      withComment(png, 'SYNTHETIC phantom made by fiducial; not a radiograph of anyone'),
    )
    await rename(temporary, path)
  } catch (cause) {
    throw explain(cause, path)
  }
}

/** A PNG with a tEXt chunk after its header. */
function withComment(png: Uint8Array, comment: string): Uint8Array {
  const body = Buffer.from(`tEXtComment\0${comment}`, 'latin1')
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(body.length - 4, 0)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  const afterHeader = 8 + 25
  return Buffer.concat([png.subarray(0, afterHeader), chunk, png.subarray(afterHeader)])
}

async function writeTables(cases: readonly PhantomCase[], root: string, size: number): Promise<void> {
  const header =
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
  const spacing = (350 / size).toFixed(3)
  const rows = cases.map((c) => {
    const findings = PHANTOM_LABELS.filter((label) => c.labels[label] === 1).join('|') || 'No Finding'
    return `${c.case_id}.png,${findings},${c.follow_up},${c.patient_id},${c.age},${c.sex},${c.view},${size},${size},${spacing},${spacing}`
  })
  await writeAtomic(join(root, 'Data_Entry_2017_v2020.csv'), `${[header, ...rows].join('\n')}\n`)
  const list = (part: PhantomCase['part']) =>
    cases
      .filter((c) => c.part === part)
      .map((c) => `${c.case_id}.png\n`)
      .join('')
  await writeAtomic(join(root, 'train_val_list.txt'), list('train'))
  await writeAtomic(join(root, 'test_list.txt'), list('test'))
}

function describe(source: PhantomSource, cases: readonly PhantomCase[]): PhantomManifest {
  const d = separation(source.difficulty)
  return {
    format: 1,
    synthetic: true,
    description:
      'Synthetic radiograph-like images with known truth, made by fiducial. They show nobody. ' +
      `Severity z of each finding is N(0, 1) without it and N(d', 1) with it, d' = ${d.toFixed(4)}; the picture is drawn from z, ` +
      "so no observer of one image can exceed AUROC Φ(d'/√2), unless a marker or a patient seen in training gives the label away.",
    generator_version: GENERATOR_VERSION,
    parameters: PhantomSource.parse(source),
    best_auroc: {
      Cardiomegaly: bestAuroc(d, 0),
      Effusion: bestAuroc(d, source.marker_shortcut),
    },
    marked_label: MARKED_LABEL,
    cases: cases.map(({ case_id, patient_id, part, labels, severity, marker }) => ({
      case_id,
      patient_id,
      part,
      labels,
      severity,
      marker,
    })),
  }
}
