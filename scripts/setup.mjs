// npm run setup: everything that a checkout needs, idempotent. Plain JavaScript, because the host's Node may be 20.
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setupNode } from './setup/node.mjs'
import { setupPython } from './setup/python.mjs'
import { checkPlatform } from './setup/requirements.mjs'
import { SetupError, say } from './setup/say.mjs'

const HELP = `npm run setup -- [--torch auto|cpu|cu126|cu130|existing] [--without-python]

  --torch auto        the hashed lock's build; cu126 where the GPU or driver needs it (default)
  --torch cpu         the small CPU build, from PyTorch's own index
  --torch cu126|cu130 that CUDA build, from PyTorch's own index
  --torch existing    the torch of your Python (python3, or FIDUCIAL_SETUP_PYTHON)
  --without-python    Node packages only: inspect, evaluate, predict and serve work, training does not
`

/** @param {string[]} args @returns {{ torch: string | null, python: boolean }} */
function parseArgs(args) {
  /** @type {{ torch: string | null, python: boolean }} */
  const options = { torch: null, python: true }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? ''
    if (arg === '--help' || arg === '-h') {
      process.stdout.write(HELP)
      process.exit(0)
    } else if (arg === '--without-python') options.python = false
    else if (arg === '--torch') options.torch = args[++i] ?? ''
    else if (arg.startsWith('--torch=')) options.torch = arg.slice('--torch='.length)
    else throw new SetupError(`Unknown argument ${arg}.\n${HELP}`)
  }
  return options
}

export const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))))
try {
  const started = Date.now()
  const options = parseArgs(process.argv.slice(2))
  checkPlatform()
  await setupNode(root)
  if (options.python) await setupPython(root, { torch: options.torch })
  say(`Set up in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(2)
}
