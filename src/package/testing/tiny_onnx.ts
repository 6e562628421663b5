// Test support: writes small ONNX graphs byte by byte, so that tests of packages need neither Python nor files.
// Protocol buffer field numbers are those of onnx.proto3.

const ONNX_TYPES = { float32: 1, uint8: 2, int16: 5 } as const

export interface TinyModel {
  /** [C, H, W] */
  shape: [number, number, number]
  dtype: keyof typeof ONNX_TYPES
  /** Normalisation inside the graph; null for none. */
  normalization: { offset: number; scale: number; mean: number[]; std: number[] } | null
  /** [L][C*H*W] and [L] of the linear layer. */
  weight: number[][]
  bias: number[]
  /** Batch dimension: dynamic unless a number is given. */
  batch?: number
  /** The file beside the graph that holds the weight (`externalWeight`); inside the graph unless given. */
  external?: string
  /** Dimensions of the input as the graph declares them, where a test wants them wrong. */
  declared?: (number | string)[]
}

/** A linear classifier: image → normalise → flatten → weight · x + bias. */
export function tinyOnnx(model: TinyModel): Uint8Array {
  const [C, H, W] = model.shape
  const L = model.weight.length
  const nodes: Uint8Array[] = []
  const initializers: Uint8Array[] = []
  const constant = (name: string, dims: number[], values: number[]) =>
    initializers.push(tensor(name, dims, values))
  let at = 'image'
  const step = (op: string, inputs: string[], output: string, attributes: Uint8Array[] = []) => {
    nodes.push(node(op, inputs, output, attributes))
    at = output
  }
  if (model.dtype !== 'float32') step('Cast', [at], 'as_float', [intAttribute('to', ONNX_TYPES.float32)])
  if (model.normalization) {
    const { offset, scale, mean, std } = model.normalization
    constant('offset', [], [offset])
    constant('scale', [], [scale])
    constant('mean', [1, C, 1, 1], mean)
    constant('std', [1, C, 1, 1], std)
    step('Add', [at, 'offset'], 'shifted')
    step('Mul', [at, 'scale'], 'scaled')
    step('Sub', [at, 'mean'], 'centred')
    step('Div', [at, 'std'], 'normalised')
  }
  step('Flatten', [at], 'flat', [intAttribute('axis', 1)])
  if (model.external === undefined) constant('weight', [L, C * H * W], model.weight.flat())
  else initializers.push(externalTensor('weight', [L, C * H * W], model.external))
  constant('bias', [L], model.bias)
  step('Gemm', [at, 'weight', 'bias'], 'logits', [intAttribute('transB', 1)])
  const batch = model.batch ?? 'batch'
  const graph = message(
    ...nodes.map((n) => field(1, n)),
    field(2, text('tiny')),
    ...initializers.map((i) => field(5, i)),
    field(11, valueInfo('image', ONNX_TYPES[model.dtype], model.declared ?? [batch, C, H, W])),
    field(12, valueInfo('logits', ONNX_TYPES.float32, [batch, L])),
  )
  return message(integer(1, 8), field(7, graph), field(8, message(field(1, text('')), integer(2, 17))))
}

/** What belongs into the file that `external` names. */
export function externalWeight(model: TinyModel): Uint8Array {
  return new Uint8Array(Float32Array.from(model.weight.flat()).buffer)
}

/** Weights that depend on every pixel differently, so that a flip, a swapped channel or a shift moves the logits. */
export function tinyWeights(shape: [number, number, number], numLabels: number, seed = 1): number[][] {
  const n = shape[0] * shape[1] * shape[2]
  let state = seed
  const next = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647 - 0.5
  }
  return Array.from({ length: numLabels }, () => Array.from({ length: n }, () => (4 * next()) / Math.sqrt(n)))
}

function node(op: string, inputs: string[], output: string, attributes: Uint8Array[]): Uint8Array {
  return message(
    ...inputs.map((name) => field(1, text(name))),
    field(2, text(output)),
    field(3, text(output)),
    field(4, text(op)),
    ...attributes.map((a) => field(5, a)),
  )
}

const intAttribute = (name: string, value: number) =>
  message(field(1, text(name)), integer(3, value), integer(20, 2))

function tensor(name: string, dims: number[], values: number[]): Uint8Array {
  const raw = new Uint8Array(Float32Array.from(values).buffer)
  return message(
    ...dims.map((d) => integer(1, d)),
    integer(2, ONNX_TYPES.float32),
    field(8, text(name)),
    field(9, raw),
  )
}

function externalTensor(name: string, dims: number[], file: string): Uint8Array {
  const EXTERNAL = 1
  const location = message(field(1, text('location')), field(2, text(file)))
  return message(
    ...dims.map((d) => integer(1, d)),
    integer(2, ONNX_TYPES.float32),
    field(8, text(name)),
    field(13, location),
    integer(14, EXTERNAL),
  )
}

function valueInfo(name: string, type: number, dims: (number | string)[]): Uint8Array {
  const shape = message(
    ...dims.map((d) => field(1, typeof d === 'number' ? integer(1, d) : field(2, text(d)))),
  )
  return message(field(1, text(name)), field(2, field(1, message(integer(1, type), field(2, shape)))))
}

const text = (s: string) => new TextEncoder().encode(s)
const message = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
const field = (number: number, bytes: Uint8Array) =>
  message(varint(number * 8 + 2), varint(bytes.length), bytes)
const integer = (number: number, value: number) => message(varint(number * 8), varint(value))

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Uint8Array.from([...bytes, value])
}
