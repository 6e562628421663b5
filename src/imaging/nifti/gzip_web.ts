/** `gzip_node.ts` for browsers, on their compression streams. */
export async function gunzip(bytes: Uint8Array, size: number, limit: number): Promise<Uint8Array> {
  let out = new Uint8Array(size)
  let length = 0
  for await (const chunk of inflated(bytes)) {
    if (length + chunk.length > limit) throw new Error(`it holds more than ${limit} bytes`)
    if (length + chunk.length > out.length) {
      const larger = new Uint8Array(Math.min(limit, Math.max(2 * out.length, length + chunk.length)))
      larger.set(out.subarray(0, length))
      out = larger
    }
    out.set(chunk, length)
    length += chunk.length
  }
  return out.subarray(0, length)
}

export async function gunzipStart(bytes: Uint8Array, length: number): Promise<Uint8Array> {
  const out = new Uint8Array(length)
  let filled = 0
  try {
    for await (const chunk of inflated(bytes.subarray(0, START_BYTES))) {
      out.set(chunk.subarray(0, length - filled), filled)
      filled = Math.min(length, filled + chunk.length)
      if (filled === length) break
    }
  } catch (cause) {
    // The start of a file always ends too early for the stream: what came before that is what was asked for.
    if (filled === 0) throw cause
  }
  return out.subarray(0, filled)
}

export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
  return new Uint8Array(await new Response(stream.pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
}

const START_BYTES = 4096

async function* inflated(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
  const reader = stream.pipeThrough(new DecompressionStream('gzip')).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
