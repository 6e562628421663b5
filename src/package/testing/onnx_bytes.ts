// Test support: the parts of an ONNX file, byte by byte. Protocol buffer field numbers are those of onnx.proto3.

export const ONNX_TYPES = { float32: 1, uint8: 2, int16: 5, float16: 10 } as const

/** A file of one graph, opset 17. */
export function graphFile(
  nodes: readonly Uint8Array[],
  initializers: readonly Uint8Array[],
  input: Uint8Array,
  output: Uint8Array,
): Uint8Array {
  const graph = message(
    ...nodes.map((one) => field(1, one)),
    field(2, text('tiny')),
    ...initializers.map((one) => field(5, one)),
    field(11, input),
    field(12, output),
  )
  return message(integer(1, 8), field(7, graph), field(8, message(field(1, text('')), integer(2, 17))))
}

export function node(op: string, inputs: string[], output: string, attributes: Uint8Array[]): Uint8Array {
  return message(
    ...inputs.map((name) => field(1, text(name))),
    field(2, text(output)),
    field(3, text(output)),
    field(4, text(op)),
    ...attributes.map((a) => field(5, a)),
  )
}

export const intAttribute = (name: string, value: number) =>
  message(field(1, text(name)), integer(3, value), integer(20, 2))

export const intsAttribute = (name: string, values: readonly number[]) =>
  message(field(1, text(name)), ...values.map((value) => integer(8, value)), integer(20, 7))

export function tensor(name: string, dims: number[], values: number[]): Uint8Array {
  const raw = new Uint8Array(Float32Array.from(values).buffer)
  return message(
    ...dims.map((d) => integer(1, d)),
    integer(2, ONNX_TYPES.float32),
    field(8, text(name)),
    field(9, raw),
  )
}

export function valueInfo(name: string, type: number, dims: (number | string)[]): Uint8Array {
  const shape = message(
    ...dims.map((d) => field(1, typeof d === 'number' ? integer(1, d) : field(2, text(d)))),
  )
  return message(field(1, text(name)), field(2, field(1, message(integer(1, type), field(2, shape)))))
}

export const text = (s: string) => new TextEncoder().encode(s)
export const message = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
export const field = (number: number, bytes: Uint8Array) =>
  message(varint(number * 8 + 2), varint(bytes.length), bytes)
export const integer = (number: number, value: number) => message(varint(number * 8), varint(value))

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Uint8Array.from([...bytes, value])
}
