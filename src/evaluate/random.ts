/**
 * A seeded stream of uniform integers: xoshiro128** 1.1, its state filled by splitmix32 from the seed. The same
 * seed gives the same numbers on every platform, since only 32-bit integer operations are used.
 *
 * @param seed a non-negative safe integer; its low and high 32 bits both count
 * @returns a function giving an integer in [0, n) for n ≤ 2^21; its bias is below n / 2^32
 * @see Blackman & Vigna, ACM Transactions on Mathematical Software 47 (2021), article 36
 */
export function seededIntegers(seed: number): (n: number) => number {
  const next32 = splitmix32((seed >>> 0) ^ Math.imul(Math.floor(seed / 2 ** 32) | 0, 0x9e3779b1))
  let a = next32()
  let b = next32()
  let c = next32()
  let d = next32()
  return (n) => {
    const product = Math.imul(b, 5)
    const uniform = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return Math.floor((uniform * n) / 2 ** 32)
  }
}

function splitmix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = state ^ (state >>> 16)
    z = Math.imul(z, 0x21f0aaad)
    z = z ^ (z >>> 15)
    z = Math.imul(z, 0x735a2d97)
    return z ^ (z >>> 15)
  }
}
