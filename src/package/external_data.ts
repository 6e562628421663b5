import { UserError } from '../schema/errors.ts'

/**
 * Names of the files beside an ONNX graph that hold its weights, as the graph's initializers say. Only as much of
 * the protocol buffer is read as that needs: ModelProto.graph (7) → GraphProto.initializer (5) →
 * TensorProto.external_data (13) → { key (1): "location", value (2) }.
 *
 * @throws {UserError} when the bytes are no protocol buffer, or a name leads out of the graph's folder
 */
export function externalDataFiles(onnx: Uint8Array, path: string): string[] {
  const names = new Set<string>()
  try {
    for (const graph of parts(onnx, 7))
      for (const initializer of parts(graph, 5))
        for (const entry of parts(initializer, 13)) {
          const [key] = parts(entry, 1)
          const [value] = parts(entry, 2)
          if (key && value && decode(key) === 'location') names.add(decode(value))
        }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new UserError(
      `${path} is not an ONNX file, or is cut short.\n  do: export or copy the model again.`,
      { cause },
    )
  }
  for (const name of names)
    if (
      name === '' ||
      name.startsWith('/') ||
      name.split(/[/\\]/).some((part) => part === '..' || part === '')
    )
      throw new UserError(
        `${path} names weights outside its folder: ${JSON.stringify(name)}.\n` +
          '  do: export it again with its external data beside it.',
      )
  return [...names]
}

/** The length-delimited fields of one number in a message. */
function* parts(message: Uint8Array, wanted: number): Generator<Uint8Array> {
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('cut short')
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
    throw new RangeError('no varint')
  }
  while (at < message.length) {
    const tag = varint()
    const type = tag % 8
    if (type === 2) {
      const length = varint()
      if (at + length > message.length) throw new RangeError('cut short')
      if (Math.floor(tag / 8) === wanted) yield message.subarray(at, at + length)
      at += length
    } else if (type === 0) varint()
    else if (type === 1) at += 8
    else if (type === 5) at += 4
    else throw new RangeError('no protocol buffer')
  }
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
