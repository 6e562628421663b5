import { constants } from 'node:fs'
import { access, readlink } from 'node:fs/promises'
import { delimiter, dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../schema/errors.ts'

/** The folder that holds package.json, engine/ and, in a checkout, .venv/. */
export const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The Python that has the engine's packages: `FIDUCIAL_PYTHON`, else the checkout's .venv.
 *
 * @throws {UserError} when there is none
 */
export async function findPython(
  env: NodeJS.ProcessEnv = process.env,
  projectRoot: string = PROJECT_ROOT,
): Promise<string> {
  const named = env.FIDUCIAL_PYTHON
  if (named) {
    if (await isExecutable(named)) return named
    throw new UserError(
      `FIDUCIAL_PYTHON names ${named}, which is not a program that can be run.\n` +
        '  do: unset it to use the environment that "npm run setup" makes, or name a Python that has torch.',
    )
  }
  const own = join(projectRoot, '.venv', 'bin', 'python')
  if (await isExecutable(own)) return own
  const target = await linkTarget(own)
  if (target !== null)
    throw new UserError(
      `The Python environment is there, but this user cannot run its Python: ${own}` +
        `${target === own ? '' : `, a link to ${target}`}.\n` +
        '  do: let this user read and run that file, or set FIDUCIAL_PYTHON to a Python that has torch.',
    )
  throw new UserError(
    'Training and packaging need the Python environment, which is not set up yet.\n' +
      `  expected: ${own}\n` +
      (!projectRoot.split(sep).includes('node_modules')
        ? '  do: run "npm run setup" in the checkout, or set FIDUCIAL_PYTHON to a Python that has torch.'
        : `  do: pip install -r ${join(projectRoot, 'engine', 'requirements.lock')} in an environment of Python 3.10 or newer, and set FIDUCIAL_PYTHON to its python.`),
  )
}

/**
 * What an engine process gets besides the caller's environment: the engine on its path, stacks of all threads on a
 * fatal signal, output as it comes, a stop when stdin ends (whoever started it is gone), and libraries' telemetry
 * switched off.
 */
export function engineEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  projectRoot: string = PROJECT_ROOT,
): NodeJS.ProcessEnv {
  const engine = join(projectRoot, 'engine')
  return {
    ...env,
    PYTHONPATH: env.PYTHONPATH ? `${engine}${delimiter}${env.PYTHONPATH}` : engine,
    PYTHONUNBUFFERED: '1',
    PYTHONFAULTHANDLER: '1',
    PYTHONUTF8: '1',
    FIDUCIAL_STOP_AT_EOF: '1',
    HF_HUB_DISABLE_TELEMETRY: '1',
    DO_NOT_TRACK: '1',
  }
}

/** Where a path points at the end of its links, as far as this user may follow them; null when it is not there. */
async function linkTarget(path: string): Promise<string | null> {
  let at = path
  for (let links = 0; links < 40; links++) {
    const next = await readlink(at).catch((cause: NodeJS.ErrnoException) => cause.code)
    if (next === 'ENOENT' || next === 'ENOTDIR' || next === undefined) return null
    if (next === 'EINVAL' || next === 'EACCES') return at
    at = resolve(dirname(at), next)
  }
  return at
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
