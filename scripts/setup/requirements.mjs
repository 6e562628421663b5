// What the machine must have before anything is downloaded.
import { statfs } from 'node:fs/promises'
import { run, SetupError } from './say.mjs'

export const NODE_GB = 0.6
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-arm64']

/** @throws {SetupError} on a platform without builds of torch, onnxruntime or Node */
export function checkPlatform(platform = process.platform, arch = process.arch, hasGlibc = findGlibc()) {
  const name = `${platform}-${arch}`
  if (platform === 'linux' && !hasGlibc)
    throw new SetupError(
      'This Linux has musl for its C library (Alpine, for one); PyTorch and ONNX Runtime are built for glibc.\n' +
        '  do: use a distribution or container image with glibc, such as Debian or Ubuntu.',
    )
  if (PLATFORMS.includes(name)) return
  const advice =
    platform === 'win32'
      ? 'Use it inside WSL2.'
      : 'No builds of PyTorch and ONNX Runtime exist for it; use another machine.'
  throw new SetupError(`fiducial does not run on ${name}. ${advice} It runs on ${PLATFORMS.join(', ')}.`)
}

function findGlibc() {
  // Without names of hosts looked up; types and Node 20 do not know the property.
  Object.assign(process.report, { excludeNetwork: true })
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  return header.glibcVersionRuntime !== undefined
}

/**
 * @param {string} folder on the disk that is written
 * @param {number} neededGb
 * @throws {SetupError} when less is free
 */
export async function checkDisk(folder, neededGb) {
  const { bavail, bsize } = await statfs(folder)
  const freeGb = (bavail * bsize) / 1e9
  if (freeGb < neededGb)
    throw new SetupError(
      `Too little disk space: ${neededGb.toFixed(1)} GB needed, ${freeGb.toFixed(1)} GB free.\n  at: ${folder}\n` +
        '  do: free some space, or put the checkout on another disk. "npm run setup -- --torch cpu" needs 2 GB.',
    )
}

/**
 * The newest usable Python.
 *
 * @returns {Promise<{ python: string, version: string }>}
 * @throws {SetupError} when there is none from 3.10 on
 */
export async function findSystemPython() {
  const candidates = process.env.FIDUCIAL_SETUP_PYTHON
    ? [process.env.FIDUCIAL_SETUP_PYTHON]
    : ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python']
  const found = []
  for (const python of candidates) {
    const { code, output } = await run(
      python,
      ['-c', 'import sys; print(sys.version_info[0], sys.version_info[1], sys.maxsize > 2**32)'],
      { quiet: true },
    )
    if (code !== 0) {
      if (process.env.FIDUCIAL_SETUP_PYTHON)
        found.push(`FIDUCIAL_SETUP_PYTHON names ${python}, which does not run`)
      continue
    }
    const [major, minor, wide] = output.trim().split(/\s+/)
    const version = `${major}.${minor}`
    found.push(`${python} is ${version}`)
    if (major === '3' && Number(minor) >= 10 && wide === 'True') return { python, version }
  }
  throw new SetupError(
    `No Python from 3.10 on was found${found.length ? ` (${found.join(', ')})` : ''}.\n` +
      '  do: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or name it in FIDUCIAL_SETUP_PYTHON.\n' +
      '  inspect, evaluate --predictions, predict and serve work without Python: "npm run setup -- --without-python".',
  )
}

/**
 * NVIDIA driver and the oldest GPU's compute capability, or null without a GPU.
 *
 * @returns {Promise<{ driver: number, capability: number } | null>}
 */
export async function findGpu() {
  const { code, output } = await run(
    'nvidia-smi',
    ['--query-gpu=driver_version,compute_cap', '--format=csv,noheader'],
    { quiet: true },
  )
  if (code !== 0) return null
  const rows = output
    .trim()
    .split('\n')
    .map((line) => line.split(',').map(Number.parseFloat))
  if (rows.length === 0 || rows.some((row) => !row[0])) return null
  return {
    driver: Math.min(...rows.map((r) => r[0] ?? 0)),
    capability: Math.min(...rows.map((r) => r[1] || 99)),
  }
}
