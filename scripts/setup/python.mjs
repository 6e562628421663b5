// The Python environment: .venv, filled by uv from the hashed lock.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkDisk, findGpu, findSystemPython } from './requirements.mjs'
import { explainFailure, run, SetupError, say } from './say.mjs'
import { resolveTorch, SIZES, withoutTorch } from './torch.mjs'

/**
 * Makes .venv hold what the lock says, or returns at once when it does.
 *
 * @param {string} root of the checkout
 * @param {{ torch: string | null }} options null keeps the choice made before (auto the first time)
 */
export async function setupPython(root, options) {
  const venv = join(root, '.venv')
  const stampFile = join(venv, '.fiducial-setup.json')
  const lockText = await readFile(join(root, 'engine', 'requirements.lock'), 'utf8')
  const lockHash = createHash('sha256').update(lockText).digest('hex')
  const stamp = await readStamp(stampFile)
  const choice = options.torch ?? stamp?.torch ?? 'auto'
  if (stamp?.lock === lockHash && stamp.torch === choice && existsSync(join(venv, 'bin', 'python'))) {
    say('Python environment: up to date.')
    return
  }
  const { python, version } = await findSystemPython()
  const { backend, reason } = resolveTorch(choice, await findGpu())
  const size =
    backend === 'locked' ? SIZES.locked : backend === 'cpu' || backend === 'existing' ? SIZES.cpu : SIZES.cuda
  await checkDisk(root, size.disk)
  say(
    `Python environment: Python ${version}, ${reason}; ${size.download} GB to download, ${size.disk} GB on disk.`,
  )
  const settings = await uvSettings(python)
  const uv = await findUv(root, python)
  await makeVenv(uv, venv, python, backend, settings)
  await install(uv, root, venv, lockText, backend, settings)
  await writeFile(stampFile, JSON.stringify({ lock: lockHash, torch: choice, backend }))
}

/** @param {string} file @returns {Promise<{ lock: string, torch: string } | null>} */
async function readStamp(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return null
  }
}

/** uv from the PATH, else installed by pip from its own hashed lock into .cache/uv. @param {string} root @param {string} python */
async function findUv(root, python) {
  const onPath = await run('uv', ['--version'], { quiet: true })
  const minor = Number(/uv \d+\.(\d+)/.exec(onPath.output)?.[1] ?? 0)
  if (onPath.code === 0 && minor >= 9) return 'uv'
  const target = join(root, '.cache', 'uv')
  const uv = join(target, 'bin', 'uv')
  if (existsSync(uv)) return uv
  const lock = join(root, 'engine', 'uv.lock.txt')
  const pip = await run(python, ['-m', 'pip', '--version'], { quiet: true })
  if (pip.code === 0) {
    const { code, output } = await run(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--root-user-action=ignore',
      '--target',
      target,
      '--require-hashes',
      '-r',
      lock,
    ])
    if (code !== 0) throw explainFailure('Installing uv', output)
    return uv
  }
  const bootstrap = join(root, '.cache', 'bootstrap')
  const made = await run(python, ['-m', 'venv', bootstrap], { quiet: true })
  if (made.code !== 0)
    throw new SetupError(
      `${python} has neither pip nor venv.\n  do: install them (Debian, Ubuntu: apt install python3-pip python3-venv), or install uv yourself.`,
    )
  const { code, output } = await run(join(bootstrap, 'bin', 'python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--root-user-action=ignore',
    '--require-hashes',
    '-r',
    lock,
  ])
  if (code !== 0) throw explainFailure('Installing uv', output)
  return join(bootstrap, 'bin', 'uv')
}

/**
 * pip's own settings, handed to uv, which does not read them: index, mirrors, certificates, proxy, wheel folders.
 *
 * @param {string} python
 * @returns {Promise<Record<string, string>>} environment for uv; what the user set for uv itself wins
 */
export async function uvSettings(python) {
  const { code, output } = await run(python, ['-m', 'pip', 'config', 'list'], { quiet: true })
  /** @type {Record<string, string>} */
  const pip = {}
  for (const line of code === 0 ? output.split('\n') : []) {
    const match = /^(?:global|install|user|site|:env:)\.([a-z-]+)='(.*)'$/.exec(line.trim())
    if (match?.[1] !== undefined) pip[match[1]] = (match[2] ?? '').replace(/\\n/g, ' ').trim()
  }
  for (const [key, value] of Object.entries(process.env)) {
    if (key.startsWith('PIP_') && value) pip[key.slice(4).toLowerCase().replaceAll('_', '-')] = value
  }
  /** @type {[string, string | undefined][]} */
  const pairs = [
    ['UV_DEFAULT_INDEX', pip['index-url']],
    ['UV_INDEX', pip['extra-index-url']],
    [
      'UV_FIND_LINKS',
      pip['find-links']
        ?.split(/\s+/)
        .filter((at) => at.includes('://') || existsSync(at))
        .join(','),
    ],
    ['SSL_CERT_FILE', pip.cert],
    ['HTTPS_PROXY', pip.proxy],
    ['HTTP_PROXY', pip.proxy],
    ['UV_INSECURE_HOST', pip['trusted-host']],
  ]
  const set = pairs.filter(([key, value]) => value && !process.env[key] && !process.env[key.toLowerCase()])
  return { UV_PYTHON_DOWNLOADS: 'never', ...Object.fromEntries(/** @type {[string, string][]} */ (set)) }
}

/** @param {string} uv @param {string} venv @param {string} python @param {string} backend @param {Record<string, string>} env */
async function makeVenv(uv, venv, python, backend, env) {
  const args = ['venv', '--quiet', '--allow-existing', '--python', python, venv]
  if (backend === 'existing') {
    const torch = await run(python, ['-c', 'import torch; print(torch.__version__)'], { quiet: true })
    if (torch.code !== 0)
      throw new SetupError(
        `--torch existing: ${python} has no torch.\n  do: activate the environment that has it, or name its Python in FIDUCIAL_SETUP_PYTHON.`,
      )
    await rm(venv, { recursive: true, force: true })
    args.push('--system-site-packages')
  }
  const { code, output } = await run(uv, args, { env })
  if (code !== 0) throw explainFailure('Making the Python environment', output)
}

/** @param {string} uv @param {string} root @param {string} venv @param {string} lockText @param {string} backend @param {Record<string, string>} env */
async function install(uv, root, venv, lockText, backend, env) {
  const python = join(venv, 'bin', 'python')
  const what = 'Installing the Python packages'
  if (backend === 'locked') {
    const lock = join(root, 'engine', 'requirements.lock')
    const { code, output } = await run(uv, ['pip', 'sync', '--require-hashes', '--python', python, lock], {
      env,
    })
    if (code !== 0) throw explainFailure(what, output)
    return
  }
  const { rest, torch } = withoutTorch(lockText)
  const folder = join(root, '.cache', 'setup')
  await mkdir(folder, { recursive: true })
  const restFile = join(folder, 'without-torch.lock')
  const torchFile = join(folder, 'torch.txt')
  await writeFile(restFile, rest)
  await writeFile(torchFile, `${torch.join('\n')}\n`)
  if (backend !== 'existing') {
    say(`torch and torchvision come from PyTorch's own index, at the lock's versions, without its hashes.`)
    const { code, output } = await run(
      uv,
      ['pip', 'install', '--torch-backend', backend, '--python', python, '-r', torchFile],
      { env },
    )
    if (code !== 0) throw explainFailure('Installing torch', output)
  }
  const { code, output } = await run(
    uv,
    ['pip', 'install', '--require-hashes', '--no-deps', '--python', python, '-r', restFile],
    { env },
  )
  if (code !== 0) throw explainFailure(what, output)
}
