import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ServeReady } from '../../verbs/serve.ts'
import { command, positiveInteger, threadCount } from '../command.ts'

interface Flags {
  host: string
  port: number
  threads?: number
  maxBodyMb?: number
  maxBatch: number
  maxRequests: number
  allowFailed: boolean
}

export function serveCommand(): Command {
  return command<ServeReady, Flags>({
    name: 'serve',
    arguments: ['<package...>'],
    summary: 'serve model packages over HTTP, with a plain page at /',
    description:
      'Serves model packages over HTTP, with a plain page at /: images and volumes (NIfTI, zipped DICOM series) are ' +
      'scored, volumes segmented. Needs no Python. ' +
      'POST /v1/predict?model=<name> asks one of several; the first answers where none is named. ' +
      'One JSON line a request is logged on stderr: ids, hashes and times, no file names.',
    examples: [
      'fiducial serve runs/chest/package --port 8080',
      'fiducial serve runs/chest/package runs/hand/package',
      'curl -F file=@scan.png http://127.0.0.1:8080/v1/predict',
      "curl -H 'Accept: application/gzip' -F file=@scan.nii.gz http://127.0.0.1:8080/v1/predict -o mask.nii.gz",
    ],
    options: [
      new Option('--host <address>', 'address to listen on').default('127.0.0.1', 'this machine only'),
      new Option('--port <n>', 'port to listen on; 0 takes any free one').argParser(portNumber).default(8080),
      new Option('--threads <n>', 'threads of each network; all cores, at most 4, unless given').argParser(
        threadCount,
      ),
      new Option(
        '--max-body-mb <n>',
        'largest request; 64 for images and 512 for volumes unless given',
      ).argParser(positiveInteger),
      new Option('--max-batch <n>', 'most images in one run of a network')
        .argParser(positiveInteger)
        .default(8),
      new Option('--max-requests <n>', 'requests worked on at a time; more are answered 503')
        .argParser(positiveInteger)
        .default(64),
      new Option('--allow-failed', 'serve a package without a passing certificate').default(false),
    ],
    stopping: 'Finishing open requests; no new ones are taken.',
    async action({ args, flags, io, emit }) {
      const { serve } = await import('../../verbs/serve.ts')
      await serve(args, flags, emit, io)
      return undefined
    },
    print: ({ url, models }) => `${models.join(', ')} at ${url}\nResearch use, not a diagnosis.`,
  })
}

function portNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65535)
    throw new InvalidArgumentError('Expected a port from 0 to 65535.')
  return value
}
