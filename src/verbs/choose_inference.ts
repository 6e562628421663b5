import { dice } from '../evaluate/dice.ts'
import { keepLargestComponent } from '../imaging/geometry/components.ts'
import { labelVolume } from '../package/label_volume.ts'
import type { SegmentRunConfig } from '../runs/kinds.ts'
import type { MaskInference } from '../schema/evaluation_segment.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import type { PredictedCase } from './predicted_part.ts'

type Axis = 'z' | 'y' | 'x'

/**
 * Axes that are tried or asked for. A network that never saw a mirrored crop has nothing to say about one, so `auto` tries
 * the axes that training flipped.
 */
export function mirrorAxes({ mirror }: EvaluateConfig, { augment }: SegmentRunConfig): Axis[] {
  if (mirror === 'none') return []
  if (mirror !== 'auto') return mirror
  return augment.kind === 'volume' ? augment.flip : []
}

/** Less than this in mean Dice is no reason to do more. */
const LEAST_GAIN = 1e-4

/**
 * Decides on validation whether to mirror, and of which structures to keep the largest piece only, where the recipe says
 * `auto`: what raises the mean Dice.
 *
 * @param tried axes that `mirrored` probabilities are averaged over; empty where there are none
 */
export async function chooseInference(
  cases: readonly PredictedCase[],
  config: EvaluateConfig,
  run: SegmentRunConfig,
  tried: readonly Axis[],
): Promise<MaskInference> {
  const { structures } = run.task
  const reasons: string[] = []
  const isOpen = {
    mirror: tried.length > 0 && config.mirror === 'auto',
    largest: config.largest_component === 'auto',
  }
  const variants = isOpen.mirror
    ? (['plain', 'mirrored'] as const)
    : tried.length > 0
      ? (['mirrored'] as const)
      : (['plain'] as const)
  const means = new Map(
    variants.map((which) => [
      which,
      { whole: structures.map(() => new Mean()), largest: structures.map(() => new Mean()) },
    ]),
  )
  if (isOpen.mirror || isOpen.largest)
    for (const one of cases) {
      const reference = (await one.reference()).data
      for (const which of variants) {
        const mask = labelVolume(await one.probabilities(which), one.source, run.task, [])
        for (const [s, { values }] of structures.entries()) {
          const mean = means.get(which)!
          mean.whole[s]!.add(dice(mask.data, reference, values))
          if (!isOpen.largest) continue
          const kept = mask.data.slice()
          keepLargestComponent(kept, mask.shape, values)
          mean.largest[s]!.add(dice(kept, reference, values))
        }
      }
    }
  const overall = (which: 'plain' | 'mirrored') => {
    const { whole } = means.get(which)!
    return whole.reduce((sum, mean) => sum + mean.value, 0) / whole.length
  }
  let which: 'plain' | 'mirrored' = variants[0]!
  if (isOpen.mirror) {
    which = overall('mirrored') > overall('plain') + LEAST_GAIN ? 'mirrored' : 'plain'
    reasons.push(
      `mirror: mean Dice ${overall('mirrored').toFixed(4)} with ${tried.join(', ')}, ${overall('plain').toFixed(4)} without`,
    )
  } else if (config.mirror === 'auto') reasons.push('mirror: none, as training flipped no axis')
  const chosen = means.get(which)!
  const largest = structures.filter((_, s) =>
    isOpen.largest
      ? chosen.largest[s]!.value > chosen.whole[s]!.value + LEAST_GAIN
      : config.largest_component === true,
  )
  if (isOpen.largest)
    for (const [s, { name }] of structures.entries())
      reasons.push(
        `largest_component of ${name}: Dice ${chosen.largest[s]!.value.toFixed(4)} with, ${chosen.whole[s]!.value.toFixed(4)} without`,
      )
  return {
    mirror: which === 'mirrored' ? [...tried] : [],
    largest_component: largest.map(({ name }) => name),
    reasons,
  }
}

class Mean {
  private sum = 0
  private count = 0

  /** Null: nothing to measure in this case. */
  add(value: number | null): void {
    if (value === null) return
    this.sum += value
    this.count++
  }

  get value(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }
}
