/** Random numbers that are a pure function of their key. */
export interface RandomStream {
  /** In [0, 1). */
  uniform(): number
  between(low: number, high: number): number
  /** Whole number from low to high, both included. */
  int(low: number, high: number): number
  /** Standard normal. */
  normal(): number
}

/**
 * A stream named by its key, such as (seed, 'noise', patient, image): the same key gives the same numbers, whatever
 * else was drawn. The generator is sfc32, which passes PractRand; its state is a hash of the key.
 */
export function randomStream(...key: readonly (string | number)[]): RandomStream {
  let [a, b, c, d] = hash128(key.join('\u0000'))
  const next = () => {
    const t = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 15; i++) next()
  const uniform = () => next() / 4294967296
  let spare: number | null = null
  return {
    uniform,
    between: (low, high) => low + (high - low) * uniform(),
    int: (low, high) => low + Math.floor((high - low + 1) * uniform()),
    normal: () => {
      if (spare !== null) {
        const value = spare
        spare = null
        return value
      }
      // Box and Muller, Annals of Mathematical Statistics 29 (1958) 610.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
      const angle = 2 * Math.PI * uniform()
      spare = radius * Math.sin(angle)
      return radius * Math.cos(angle)
    },
  }
}

/** Items in random order; the array given is left as it is. */
export function shuffled<T>(items: readonly T[], random: RandomStream): T[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.int(0, i)
    ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
  }
  return copy
}

/** FNV-1a over the text with four starting values, each mixed at the end as in MurmurHash3. */
function hash128(text: string): [number, number, number, number] {
  const word = (start: number) => {
    let h = start
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return h ^ (h >>> 16)
  }
  return [word(0x811c9dc5), word(0x9e3779b9), word(0x243f6a88), word(0xb7e15162)]
}
