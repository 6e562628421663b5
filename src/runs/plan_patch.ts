import type { EngineModel, EngineVolumes } from '../schema/run.ts'

export interface PatchRequest {
  /** Median [z, y, x] of the stored volumes. */
  median: readonly [number, number, number]
  channels: number
  outputs: number
  model: EngineModel
  /** Samples a rank holds at once. */
  batch: number
  /** Of one accelerator, or of the machine; null where it is not known yet. */
  memoryBytes: number | null
  spacing_mm: EngineVolumes['spacing_mm']
}

export interface PatchPlan {
  patch_size: [number, number, number]
  reason: string
}

/** Of the memory there is, what activations may take: weights, optimizer, data and the framework need the rest. */
const MEMORY_SHARE = 0.5
/** Axes are not halved below this many voxels. */
const COARSEST = 4

/**
 * The crop that a network of volumes is trained on, in the manner of nnU-Net (Isensee et al., Nature Methods 18, 2021):
 * as large as the median volume, or as large as the memory allows, smaller along the axis that spans the most; each side
 * a multiple of what the network halves it by.
 */
export function planPatch(request: PatchRequest): PatchPlan {
  const levels = levelsOf(request.model)
  const budget = request.memoryBytes === null ? Number.POSITIVE_INFINITY : request.memoryBytes * MEMORY_SHARE
  const patch = request.median.map((size) => roundedUp(size, levels)) as [number, number, number]
  const needed = () => activationBytes(request, patch)
  let isShrunk = false
  while (needed() > budget) {
    const axis = largestAxis(patch, request.spacing_mm, levels)
    if (axis === null) break
    patch[axis] = roundedUp(patch[axis]! - step(patch[axis]!, levels), levels)
    isShrunk = true
  }
  const median = request.median.map((size) => Math.round(size)).join('×')
  return {
    patch_size: patch,
    reason: isShrunk
      ? `${patch.join('×')}: volumes of ${median} do not fit; activations of ${request.batch} samples take about ${gigabytes(needed())} of ${gigabytes(request.memoryBytes!)}`
      : `${patch.join('×')}: the median volume of ${median}, each side rounded up to what the network halves`,
  }
}

/** Samples a step where the recipe leaves it open: two at least, as nnU-Net, and more while it is cheap. */
export function planBatch(median: readonly number[], patch: readonly number[], numTrain: number): number {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1)
  // A batch holds 5 % of the training voxels at most.
  const most = (0.05 * product(median) * numTrain) / product(patch)
  return Math.max(2, Math.min(8, Math.floor(most)))
}

/** How often a network halves an axis that is long enough. */
function levelsOf(model: EngineModel): number {
  if (model.family === 'unet3d') return model.channels.length - 1
  if (model.family === 'segresnet') return model.blocks_up.length
  return 5
}

/** What a side is a multiple of: 2 for each time that it is halved. */
function step(size: number, levels: number): number {
  let halvings = 0
  while (halvings < levels && size / 2 ** (halvings + 1) >= COARSEST) halvings++
  return 2 ** halvings
}

function roundedUp(size: number, levels: number): number {
  const whole = Math.max(1, Math.round(size))
  const unit = step(whole, levels)
  return Math.ceil(whole / unit) * unit
}

/** The axis that spans most millimetres among those that can still be cut. */
function largestAxis(patch: readonly number[], spacing: readonly number[], levels: number): number | null {
  const axes = [0, 1, 2].filter((axis) => patch[axis]! - step(patch[axis]!, levels) >= 2 * COARSEST)
  if (axes.length === 0) return null
  return axes.reduce((a, b) => (patch[b]! * spacing[b]! > patch[a]! * spacing[a]! ? b : a))
}

/**
 * float32 values kept for the backward pass, per voxel of a crop and channel of the first level: what PyTorch saved for
 * crops of 48³, all levels together. Gradients take as much again.
 */
const SAVED_PER_CHANNEL = { unet3d: 3.2, segresnet: 15.9, dynunet: 13.3 }
/** Of a network that nothing is known of: as much as the largest. */
const UNKNOWN = { saved: 16, width: 32 }

function activationBytes(
  { channels, outputs, model, batch }: PatchRequest,
  patch: readonly number[],
): number {
  const saved =
    model.family in SAVED_PER_CHANNEL ? SAVED_PER_CHANNEL[model.family as 'unet3d'] : UNKNOWN.saved
  const voxels = patch.reduce((a, b) => a * b, 1)
  return batch * voxels * 4 * (channels + 2 * outputs + 2 * saved * widthOf(model))
}

/** Channels of the first level. */
function widthOf(model: EngineModel): number {
  if (model.family === 'unet3d') return model.channels[0]!
  if (model.family === 'segresnet') return model.init_filters
  return 'base_channels' in model ? model.base_channels : UNKNOWN.width
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
