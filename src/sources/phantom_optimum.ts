/**
 * How well a phantom's findings can be told, exactly.
 *
 * A finding's severity z is drawn from N(0, 1) without the finding and from N(d', 1) with it; the picture is
 * drawn from z alone (a wider heart, a higher fluid level), plainly enough to be measured. The label tells z only
 * by this overlap, so no observer of the picture can do better than one who is told z. Its likelihood ratio rises
 * with z, hence AUROC = P(z of a positive > z of a negative) = Φ(d' / √2) (Green & Swets, 1966).
 *
 * With a marker shortcut m the letter is R for the finding and L without it with probability m, else a fair coin.
 * An observer may add its log likelihood ratio ±log((1 + m) / (1 - m)) to that of z, d'·z - d'²/2.
 */

/** d' of both findings: 6 at difficulty 0 (AUROC 0.99999), 2.33 at 0.3 (0.951), 0 at 1 (0.5). */
export function separation(difficulty: number): number {
  return (6 * (1 - difficulty)) / (1 + (8 / 3) * difficulty)
}

/** AUROC of the best possible observer; `shortcut` is 0 for a finding that the marker says nothing of. */
export function bestAuroc(d: number, shortcut: number): number {
  if (shortcut === 0) return normalCdf(d / Math.SQRT2)
  if (shortcut === 1) return 1
  const step = Math.log((1 + shortcut) / (1 - shortcut))
  const agree = (1 + shortcut) / 2
  const pairs = [
    { probability: agree * agree, gain: 2 * step },
    { probability: 2 * agree * (1 - agree), gain: 0 },
    { probability: (1 - agree) * (1 - agree), gain: -2 * step },
  ]
  return pairs.reduce((sum, { probability, gain }) => {
    // The difference of two log likelihood ratios is N(d'² + gain, 2 d'²).
    const won = d === 0 ? (Math.sign(gain) + 1) / 2 : normalCdf((d * d + gain) / (Math.SQRT2 * d))
    return sum + probability * won
  }, 0)
}

/** Log likelihood ratio of a finding, given its z and, where the marker tells of it, the letter. */
export function logLikelihoodRatio(z: number, d: number, marker: 'L' | 'R', shortcut: number): number {
  const letter = shortcut === 0 ? 0 : Math.log((1 + shortcut) / (1 - shortcut)) * (marker === 'R' ? 1 : -1)
  return d * z - (d * d) / 2 + letter
}

/**
 * Standard normal distribution function, to double precision for |x| < 8.
 *
 * @see Marsaglia, Journal of Statistical Software 11 (2004) 4
 */
export function normalCdf(x: number): number {
  if (x < -8) return 0
  if (x > 8) return 1
  let sum = x
  let term = x
  for (let i = 3, last = 0; sum !== last; i += 2) {
    last = sum
    term *= (x * x) / i
    sum += term
  }
  return 0.5 + sum * Math.exp(-0.5 * x * x - 0.5 * Math.log(2 * Math.PI))
}
