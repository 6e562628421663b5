// The thread behind one session (session.ts): loads the graph, then answers one run at a time.
import { parentPort, workerData } from 'node:worker_threads'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { SessionOptions, SessionReply, SessionRequest, TensorInfo } from './session.ts'

// Where there is a Float16Array onnxruntime puts half-precision input into one, which its native part reads as empty
// (1.30 on Node 24). Without it, and only in this thread, bit patterns in a Uint16Array are taken.
Reflect.deleteProperty(globalThis, 'Float16Array')
const ort = await import('onnxruntime-node')

const options = workerData as SessionOptions & { path: string }
const port = parentPort!
const reply = (message: SessionReply) => port.postMessage(message)

try {
  const session = await ort.InferenceSession.create(options.path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // 3: errors. They reach the caller as exceptions; warnings about unused initializers would reach its stderr.
    logSeverityLevel: 3,
  })
  const inputName = options.input ?? session.inputNames[0]!
  const outputName = options.output ?? session.outputNames[0]!
  port.on('message', async ({ id, data, dims }: SessionRequest) => {
    try {
      const results = await session.run({ [inputName]: tensor(data, dims) }, [outputName])
      reply({ id, outputs: Float32Array.from(results[outputName]!.data as ArrayLike<number>) })
    } catch (cause) {
      reply({ id, error: (cause as Error).message })
    }
  })
  reply({
    ready: { inputs: describe(session.inputMetadata), outputs: describe(session.outputMetadata) },
  })
} catch (cause) {
  reply({ failed: (cause as Error).message })
}

function tensor(data: SessionRequest['data'], dims: readonly number[]): OrtTensor {
  if (data instanceof Float32Array) return new ort.Tensor('float32', data, dims)
  if (data instanceof Int16Array) return new ort.Tensor('int16', data, dims)
  if (data instanceof Uint8Array) return new ort.Tensor('uint8', data, dims)
  return new ort.Tensor('float16', new Uint16Array(data.buffer, data.byteOffset, data.length), dims)
}

function describe(values: readonly InferenceSession.ValueMetadata[]): TensorInfo[] {
  return values.map((value) =>
    value.isTensor
      ? { name: value.name, dtype: value.type, shape: [...value.shape] }
      : { name: value.name, dtype: 'no tensor', shape: [] },
  )
}
