import { readFile } from 'node:fs/promises'
import { type AddressInfo, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { STORED_ARRAYS } from '../imaging/store_volume.ts'
import { runNetwork } from '../package/infer.ts'
import type { LoadedPackage, LoadOptions } from '../package/load.ts'
import { isSegmenter, type LoadedSegmenter, loadAnyPackage } from '../package/load_segmenter.ts'
import { findPackage } from '../runs/find.ts'
import { UserError } from '../schema/errors.ts'
import type { Io } from './io.ts'

export interface ServeOptions extends LoadOptions {
  host?: string
  /** 0 takes any free port. */
  port?: number
  /** Largest request; unless given 64 MB of images or 512 MB of volumes. */
  maxBodyMb?: number
  maxBatch?: number
  /** Requests worked on at a time. */
  maxRequests?: number
}

type Loaded = LoadedPackage | LoadedSegmenter

export interface ServeReady {
  url: string
  models: string[]
}

/** Requests in flight get this long to finish once a signal came. */
const DRAIN_MS = 30_000

/**
 * Serves packages over HTTP until `io.signal`; then requests in flight finish. The first package answers
 * `/v1/predict`, each one `/v1/models/<name>/predict`.
 *
 * @param onReady called once, when the port listens and every network has run
 * @throws {UserError} when a package cannot be used, or the port cannot be had
 */
export async function serve(
  packageDirs: readonly string[],
  options: ServeOptions,
  onReady: (ready: ServeReady) => void | Promise<void>,
  io: Io,
): Promise<void> {
  const { host = '127.0.0.1', port = 8080 } = options
  const loaded: Loaded[] = []
  try {
    // Fastify loads while the networks do.
    const server = import('../serve/app.ts')
    for (const dir of packageDirs) loaded.push(await loadAnyPackage(await findPackage(dir), options))
    const models = named(loaded)
    await Promise.all(loaded.map(warmUp))
    for (const [name, { problem }] of models)
      if (problem !== null) io.log(`warning: ${name} is not certified: ${problem}.`)
    if (!isLoopback(host))
      io.log(
        `warning: listening on ${host}: whoever reaches this port can use it; put a proxy with a login before it.`,
      )

    const { buildApp } = await server
    const app = await buildApp({
      models,
      version: await ownVersion(),
      log: (record) => io.log(JSON.stringify(record)),
      isStopping: () => io.signal.aborted,
      ...(options.maxBodyMb === undefined ? {} : bodyLimits(options.maxBodyMb)),
      ...(options.maxBatch === undefined ? {} : { maxBatch: options.maxBatch }),
      ...(options.maxRequests === undefined ? {} : { maxRequests: options.maxRequests }),
    })
    try {
      await app.listen({ host, port }).catch((cause) => Promise.reject(explainListen(cause, host, port)))
      const address = app.server.address() as AddressInfo
      await onReady({
        url: `http://${isIPv6(address.address) ? `[${address.address}]` : address.address}:${address.port}`,
        models: [...models.keys()],
      })
      await aborted(io.signal)
    } finally {
      await Promise.race([app.close(), new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())])
    }
  } finally {
    await Promise.all(loaded.map((one) => one.close()))
  }
}

/** Name in the path → package: the package's name, with its version where two share one. */
function named(loaded: readonly Loaded[]): Map<string, Loaded> {
  const isShared = (name: string) => loaded.filter(({ model }) => model.name === name).length > 1
  const models = new Map<string, Loaded>()
  for (const one of loaded) {
    const { name, version } = one.model
    const key = isShared(name) ? `${name}@${version}` : name
    if (models.has(key))
      throw new UserError(
        `Two packages are both ${key}: ${models.get(key)!.dir} and ${one.dir}.\n` +
          '  do: name each package once, or give one another version with "fiducial package --package-version".',
      )
    models.set(key, one)
  }
  return models
}

/** The first run of a network allocates its memory; the first caller should not wait for that. */
async function warmUp(loaded: Loaded): Promise<void> {
  if (isSegmenter(loaded)) {
    const { model, networks } = loaded
    const dims = [1, model.preprocess.channels, ...model.input.patch_size]
    for (const network of networks) await network.run(zeros(model.input.dtype, dims), dims)
  } else {
    const { model, network } = loaded
    await runNetwork([zeros(model.input.dtype, model.input.shape)], model, network)
  }
}

function zeros<T extends keyof typeof STORED_ARRAYS>(dtype: T, dims: readonly number[]) {
  return new STORED_ARRAYS[dtype](dims.reduce((a, b) => a * b, 1)) as InstanceType<(typeof STORED_ARRAYS)[T]>
}

function bodyLimits(megabytes: number) {
  const bytes = Math.round(megabytes * 1e6)
  return { maxBodyBytes: bytes, maxVolumeBytes: bytes }
}

function explainListen(cause: unknown, host: string, port: number): unknown {
  const code = (cause as NodeJS.ErrnoException).code
  const reasons: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is in use.\n  do: choose another with --port N, or --port 0 for any free one.`,
    EACCES: `Port ${port} needs more rights than you have.\n  do: choose one from 1024 with --port N.`,
    EADDRNOTAVAIL: `This machine has no address ${host}.\n  do: one of ${ownAddresses().join(', ')}, or 0.0.0.0 for all.`,
    ENOTFOUND: `The host name ${host} is not known.\n  do: --host 127.0.0.1`,
  }
  return code !== undefined && reasons[code] !== undefined ? new UserError(reasons[code], { cause }) : cause
}

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')

const ownAddresses = () =>
  Object.values(networkInterfaces())
    .flat()
    .map((address) => address!.address)

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function ownVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
