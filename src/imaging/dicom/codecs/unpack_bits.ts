/** Samples of one bit, lowest bit of a byte first, as bytes of 0 and 1. */
export function unpackBits(bytes: Uint8Array, firstBit: number, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let i = 0, bit = firstBit; i < length; i++, bit++) out[i] = (bytes[bit >> 3]! >> (bit & 7)) & 1
  return out
}
