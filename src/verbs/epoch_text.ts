/**
 * How far training is. Steps are whole and epochs seldom divide by them: the step that completes an epoch says that
 * epoch, `3`, not the little that it runs over, `3.1`.
 *
 * @param epoch passes over the training split after this step
 */
export function epochText({ step, epoch }: { step: number; epoch: number }): string {
  const completed = Math.floor(epoch + 1e-9)
  const before = step > 0 ? epoch - epoch / step : 0
  return completed > 0 && before < completed - 1e-9 ? String(completed) : epoch.toFixed(1)
}
