import type { InputNormalization, VolumeSpec } from '../schema/preprocess.ts'

/**
 * The network's first node for a stored type: value = (stored + offset) · scale, of integers in 0..1, then
 * (value - mean) / std per channel. A std of 0 (constant channel) becomes 1: there is nothing to scale.
 *
 * @param mean per channel, of scaled values
 * @param std per channel, of scaled values
 */
export function inputNormalization(
  dtype: VolumeSpec['dtype'],
  mean: number[],
  std: number[],
): InputNormalization {
  return {
    ...SCALES[dtype],
    mean: [...mean],
    std: std.map((s) => (s > 0 ? s : 1)),
  }
}

const SCALES = {
  uint8: { offset: 0, scale: 1 / 255 },
  int16: { offset: 32768, scale: 1 / 65535 },
  float16: { offset: 0, scale: 1 },
  float32: { offset: 0, scale: 1 },
}

/** ImageNet's statistics in RGB, as torchvision and timm use them; their mean over channels for grey. */
export function imagenetNormalization(
  dtype: 'uint8' | 'int16',
  channels: 1 | 3,
  order: 'rgb' | 'bgr',
): InputNormalization {
  const mean = [0.485, 0.456, 0.406]
  const std = [0.229, 0.224, 0.225]
  if (channels === 1) return inputNormalization(dtype, [0.449], [0.226])
  return order === 'rgb'
    ? inputNormalization(dtype, mean, std)
    : inputNormalization(dtype, mean.reverse(), std.reverse())
}
