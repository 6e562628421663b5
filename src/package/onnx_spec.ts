import { SchemaError, UserError } from '../schema/errors.ts'
import type { OperatingPoint } from '../schema/evaluation.ts'
import { OnnxSpec } from '../schema/onnx_spec.ts'
import { parse } from '../schema/parse.ts'
import type { ImageSpec, InputNormalization } from '../schema/preprocess.ts'
import type { TensorInfo } from './session.ts'

/** What a graph of another tool reads, once it is known to be one that can be packaged. */
export interface GraphInput {
  name: string
  dtype: 'uint8' | 'int16' | 'float32'
  /** Null where the graph leaves it open. */
  channels: number | null
  size: [number | null, number | null]
}

/**
 * The one image input of a graph.
 *
 * @throws {UserError} for several inputs, another rank, a fixed batch, channels last, or a type that is not read
 */
export function graphInput(inputs: readonly TensorInfo[], path: string): GraphInput {
  const refuse = (what: string, advice: string): never => {
    throw new UserError(`${path}: ${what}\n  do: ${advice}`)
  }
  const [input] = inputs
  if (!input || inputs.length > 1)
    return refuse(
      `the graph has ${inputs.length} inputs (${inputs.map((i) => i.name).join(', ')}); one image is expected.`,
      'export the part of the network that reads the image alone.',
    )
  const { name, dtype, shape } = input
  const shown = `[${shape.join(', ')}]`
  if (shape.length !== 4)
    refuse(
      `input "${name}" is ${shown}; [batch, channels, rows, columns] is expected.`,
      'export it with a 4-D input.',
    )
  const [batch, C, H, W] = shape as [number | string, number | string, number | string, number | string]
  if (typeof batch === 'number')
    refuse(
      `input "${name}" is ${shown}: its batch is fixed at ${batch}.`,
      'export with a dynamic batch, e.g. torch.onnx.export(…, dynamic_shapes={"x": {0: torch.export.Dim("batch")}}).',
    )
  if ((W === 1 || W === 3) && C !== 1 && C !== 3)
    refuse(
      `input "${name}" is ${shown}: its channels come last.`,
      'only channels first (NCHW) is supported: put a transpose into the graph before exporting.',
    )
  if (typeof C === 'number' && C !== 1 && C !== 3)
    refuse(`input "${name}" is ${shown}: ${C} channels.`, 'one (grey) or three (RGB) channels are supported.')
  if (dtype !== 'float32' && dtype !== 'uint8' && dtype !== 'int16')
    return refuse(
      `input "${name}" is ${dtype}; float32, uint8 or int16 is expected.`,
      'export with a float32 input (weights inside may be of another type).',
    )
  const known = (dim: number | string) => (typeof dim === 'number' ? dim : null)
  return { name, dtype, channels: known(C), size: [known(H), known(W)] }
}

/**
 * Reads the spec of another tool's model.
 *
 * @throws {SchemaError} asking for every key that would change a score and is not said, and listing every mistake
 */
export function parseOnnxSpec(value: unknown, graph: GraphInput, where: string): OnnxSpec {
  const asked = unanswered(value, graph)
  if (asked.length > 0)
    throw new SchemaError(
      `${where} leaves open ${asked.length} ${asked.length === 1 ? 'thing' : 'things'} that would change scores. ` +
        `Nothing is guessed; say how the model was trained:\n${asked.map((line) => `  ${line}`).join('\n')}`,
    )
  const spec = parse(OnnxSpec, value, where)
  const mistakes = contradictions(spec, graph)
  if (mistakes.length > 0)
    throw new SchemaError(
      `${where} does not fit the graph:\n${mistakes.map((line) => `  ${line}`).join('\n')}`,
    )
  return spec
}

const ALWAYS = [
  'labels',
  'exclusive',
  'activation',
  'preprocess.size',
  'preprocess.channels',
  'preprocess.fit',
]
const AND_THEN = ['resample', 'antialias', 'window', 'exif_orientation', 'flip'].map(
  (key) => `preprocess.${key}`,
)

/** What the template leaves to be filled in. Nothing at all would read as null, which is an answer. */
const BLANK = '???'

function unanswered(value: unknown, graph: GraphInput): string[] {
  const at = (path: string) =>
    path
      .split('.')
      .reduce<unknown>((v, key) => (v as Record<string, unknown> | null | undefined)?.[key], value)
  const keys = [...ALWAYS, ...AND_THEN]
  if (at('preprocess.fit') === 'pad') keys.push('preprocess.pad_value')
  if (at('preprocess.channels') === 3) keys.push('preprocess.channel_order', 'preprocess.stain')
  if (graph.dtype === 'float32') keys.push('input.range', 'input.mean', 'input.std')
  const isOpen = (answer: unknown) => answer === undefined || answer === BLANK
  return keys.filter((path) => isOpen(at(path))).map((path) => `${path}: ${question(path)}`)
}

/** A key's description, wherever it lies in the schema. */
function question(path: string): string {
  const keys = path.split('.')
  const parent =
    keys.length === 1
      ? OnnxSpec.shape
      : keys[0] === 'input'
        ? OnnxSpec.shape.input.unwrap().shape
        : OnnxSpec.shape.preprocess.shape
  return (parent as Record<string, { description?: string | undefined }>)[keys.at(-1)!]?.description ?? ''
}

function contradictions(spec: OnnxSpec, graph: GraphInput): string[] {
  const mistakes: string[] = []
  const { channels } = spec.preprocess
  const [H, W] = sizeOf(spec)
  if (graph.channels !== null && graph.channels !== channels)
    mistakes.push(`preprocess.channels is ${channels}; the graph reads ${graph.channels}`)
  if ((graph.size[0] !== null && graph.size[0] !== H) || (graph.size[1] !== null && graph.size[1] !== W))
    mistakes.push(`preprocess.size is [${H}, ${W}]; the graph reads [${graph.size.join(', ')}]`)
  if (graph.dtype !== 'float32' && spec.input)
    mistakes.push(`input is given, but the graph reads ${graph.dtype} and normalises inside`)
  for (const key of ['mean', 'std'] as const) {
    const values = spec.input?.[key]
    if (values && values.length !== 1 && values.length !== channels)
      mistakes.push(`input.${key} needs ${channels === 1 ? 'one value' : 'one or three values'}`)
  }
  if (spec.input && spec.input.range[0] >= spec.input.range[1])
    mistakes.push('input.range must rise, e.g. [0, 1]')
  if (spec.exclusive && spec.activation === 'sigmoid')
    mistakes.push(
      'activation is sigmoid, but exclusive labels add up to one: softmax, or none when the graph has it',
    )
  if (!spec.exclusive && spec.activation === 'softmax')
    mistakes.push('activation is softmax, but the labels do not exclude each other: say exclusive: true')
  if (spec.thresholds && spec.operating_point)
    mistakes.push('thresholds are given and operating_point would choose others: say one of them')
  if (spec.thresholds && spec.exclusive)
    mistakes.push('thresholds are given, but of exclusive labels the highest score decides')
  for (const label of Object.keys(spec.thresholds ?? {}))
    if (!spec.labels.includes(label)) mistakes.push(`thresholds.${label} is none of the labels`)
  if (graph.dtype === 'int16' && spec.preprocess.window === null)
    mistakes.push('the graph reads int16: preprocess.window must say which source values are mapped')
  return mistakes
}

/** The complete spec: what was not asked for cannot change a score, or is derived from what was. */
export function preprocessOf(spec: OnnxSpec, graph: GraphInput): ImageSpec {
  const { window, pad_value, channel_order, stain, ...said } = spec.preprocess
  const isWide = window !== null && window.high > 255
  return {
    ...said,
    kind: 'image',
    size: sizeOf(spec),
    window,
    pad_value: pad_value ?? 0,
    channel_order: channel_order ?? 'rgb',
    stain: stain ?? null,
    // 16 stored bits are the finest there are; 8-bit values without a wide window fill 8.
    dtype: graph.dtype === 'float32' ? (isWide ? 'int16' : 'uint8') : graph.dtype,
  }
}

/** `range`, `mean` and `std` in the 0..1 that model.json speaks; null where the graph normalises inside. */
export function normalizationOf(spec: OnnxSpec, dtype: ImageSpec['dtype']): InputNormalization | null {
  if (!spec.input) return null
  const { range, mean, std } = spec.input
  const [low, high] = range
  const each = (values: readonly number[]) =>
    Array.from({ length: spec.preprocess.channels }, (_, c) => values[c] ?? values[0]!)
  return {
    ...(dtype === 'uint8' ? { offset: 0, scale: 1 / 255 } : { offset: 32768, scale: 1 / 65535 }),
    mean: each(mean).map((m) => (m - low) / (high - low)),
    std: each(std).map((s) => s / (high - low)),
  }
}

/** Thresholds that the spec gives. */
export function givenPoints({ thresholds = {} }: OnnxSpec): Record<string, OperatingPoint> {
  return Object.fromEntries(
    Object.entries(thresholds).map(([label, threshold]) => [
      label,
      { label, threshold, rule: null, attained: true, chosen_on: 'given with the model', metrics: {} },
    ]),
  )
}

/** A spec to fill in, for a graph: every key that is asked for, with what it means. */
export function onnxSpecTemplate(graph: GraphInput): string {
  const ask = (path: string, answer: string) =>
    `${'  '.repeat(path.split('.').length - 1)}${path.split('.').at(-1)}: ${answer}  # ${question(path)}`
  const [H, W] = graph.size
  return [
    'name: my-model',
    ask('labels', BLANK),
    ask('exclusive', BLANK),
    ask('activation', BLANK),
    'preprocess:',
    ask('preprocess.size', H === null || W === null ? BLANK : `[${H}, ${W}]`),
    ask('preprocess.channels', graph.channels === null ? BLANK : String(graph.channels)),
    ...['fit', 'pad_value', 'resample', 'antialias', 'window', 'exif_orientation', 'flip'].map((key) =>
      ask(`preprocess.${key}`, BLANK),
    ),
    ...(graph.channels === 1 ? [] : [ask('preprocess.channel_order', BLANK), ask('preprocess.stain', BLANK)]),
    ...(graph.dtype === 'float32'
      ? ['input:', ...['range', 'mean', 'std'].map((key) => ask(`input.${key}`, BLANK))]
      : []),
  ].join('\n')
}

function sizeOf({ preprocess: { size } }: OnnxSpec): [number, number] {
  return typeof size === 'number' ? [size, size] : size
}
