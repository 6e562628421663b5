// Test support: small ONNX graphs, so that tests of packages need neither Python nor files.
import {
  field,
  graphFile,
  intAttribute,
  integer,
  message,
  node,
  ONNX_TYPES,
  tensor,
  text,
  valueInfo,
} from './onnx_bytes.ts'

export interface TinyModel {
  /** [C, H, W] or [C, Z, Y, X] */
  shape: [number, number, number] | [number, number, number, number]
  dtype: 'float32' | 'uint8' | 'int16' | 'float16'
  /** Normalisation inside the graph; null for none. */
  normalization: { offset: number; scale: number; mean: number[]; std: number[] } | null
  /** [L][values of an input] and [L] of the linear layer. */
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
  const [C, ...grid] = model.shape
  const size = model.shape.reduce((a, b) => a * b, 1)
  const ones = grid.map(() => 1)
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
    constant('mean', [1, C, ...ones], mean)
    constant('std', [1, C, ...ones], std)
    step('Add', [at, 'offset'], 'shifted')
    step('Mul', [at, 'scale'], 'scaled')
    step('Sub', [at, 'mean'], 'centred')
    step('Div', [at, 'std'], 'normalised')
  }
  step('Flatten', [at], 'flat', [intAttribute('axis', 1)])
  if (model.external === undefined) constant('weight', [L, size], model.weight.flat())
  else initializers.push(externalTensor('weight', [L, size], model.external))
  constant('bias', [L], model.bias)
  step('Gemm', [at, 'weight', 'bias'], 'logits', [intAttribute('transB', 1)])
  const batch = model.batch ?? 'batch'
  return graphFile(
    nodes,
    initializers,
    valueInfo('image', ONNX_TYPES[model.dtype], model.declared ?? [batch, C, ...grid]),
    valueInfo('logits', ONNX_TYPES.float32, [batch, L]),
  )
}

/** What belongs into the file that `external` names. */
export function externalWeight(model: TinyModel): Uint8Array {
  return new Uint8Array(Float32Array.from(model.weight.flat()).buffer)
}

/** Weights that depend on every pixel differently, so that a flip, a swapped channel or a shift moves the logits. */
export function tinyWeights(shape: TinyModel['shape'], numLabels: number, seed = 1): number[][] {
  const n = shape.reduce((a: number, b) => a * b, 1)
  let state = seed
  const next = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647 - 0.5
  }
  return Array.from({ length: numLabels }, () => Array.from({ length: n }, () => (4 * next()) / Math.sqrt(n)))
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
