// Test support: a small network of volumes, so that tests of packages that segment need no Python.
import type { InputNormalization } from '../../schema/preprocess.ts'
import { graphFile, intAttribute, intsAttribute, node, ONNX_TYPES, tensor, valueInfo } from './onnx_bytes.ts'

export interface TinyVolumeModel {
  channels: number
  /** [z, y, x] */
  patch: readonly [number, number, number]
  outputs: number
  dtype: keyof typeof ONNX_TYPES
  normalization: InputNormalization
  seed?: number
}

/**
 * Patch → normalise → one 3×3×3 convolution: each output depends on every neighbour differently, so that a flip, a
 * swapped axis, other windows or other padding move the logits.
 */
export function tinyVolumeOnnx({
  channels: C,
  patch,
  outputs: K,
  dtype,
  normalization,
  seed = 1,
}: TinyVolumeModel): Uint8Array {
  const { offset, scale, mean, std } = normalization
  const weights = pseudoRandom(seed, K * C * 27)
  return graphFile(
    [
      node('Cast', ['image'], 'as_float', [intAttribute('to', ONNX_TYPES.float32)]),
      node('Add', ['as_float', 'offset'], 'shifted', []),
      node('Mul', ['shifted', 'scale'], 'scaled', []),
      node('Sub', ['scaled', 'mean'], 'centred', []),
      node('Div', ['centred', 'std'], 'normalised', []),
      node('Conv', ['normalised', 'weight', 'bias'], 'logits', [
        intsAttribute('kernel_shape', [3, 3, 3]),
        intsAttribute('pads', [1, 1, 1, 1, 1, 1]),
      ]),
    ],
    [
      tensor('offset', [], [offset]),
      tensor('scale', [], [scale]),
      tensor('mean', [1, C, 1, 1, 1], mean),
      tensor('std', [1, C, 1, 1, 1], std),
      tensor('weight', [K, C, 3, 3, 3], weights),
      tensor(
        'bias',
        [K],
        Array.from({ length: K }, (_, k) => 0.2 * k),
      ),
    ],
    valueInfo('image', ONNX_TYPES[dtype], ['batch', C, ...patch]),
    valueInfo('logits', ONNX_TYPES.float32, ['batch', K, ...patch]),
  )
}

function pseudoRandom(seed: number, count: number): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (state * 48271) % 2147483647
    return 0.6 * (state / 2147483647 - 0.5)
  })
}
