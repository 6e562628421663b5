// Which build of torch goes in, and the lock that installs it.
import { SetupError } from './say.mjs'

/** Disk and download of each choice in GB, measured on linux-x64 with Python 3.11 (2026-11-21), all packages included. */
export const SIZES = {
  locked: { disk: 6.0, download: 3.0 },
  cpu: { disk: 1.8, download: 0.5 },
  cuda: { disk: 7.0, download: 4.0 },
}
const CHOICES = ['auto', 'cpu', 'cu126', 'cu130', 'existing']

/**
 * Resolves `--torch`. `locked` is the build in the hashed lock: CUDA 13 on Linux, which also runs on the CPU.
 *
 * @param {string} choice
 * @param {{ driver: number, capability: number } | null} gpu
 * @param {string} platform as in process.platform
 * @returns {{ backend: 'locked' | 'cpu' | 'cu126' | 'cu130' | 'existing', reason: string }}
 * @throws {SetupError} for an unknown choice, CUDA on macOS or a driver too old for every build
 */
export function resolveTorch(choice, gpu, platform = process.platform) {
  if (!CHOICES.includes(choice))
    throw new SetupError(`--torch ${choice} is not known; one of ${CHOICES.join(', ')}.`)
  if (choice === 'existing') return { backend: 'existing', reason: 'the torch that your Python already has' }
  if (choice === 'cpu') return { backend: 'cpu', reason: "the CPU build, from PyTorch's own index" }
  if (choice === 'cu126' || choice === 'cu130') {
    if (platform === 'darwin')
      throw new SetupError(`--torch ${choice}: there is no CUDA on macOS.\n  do: leave --torch out.`)
    const oldest = choice === 'cu130' ? 580 : 525
    if (gpu && gpu.driver < oldest)
      throw new SetupError(
        `The NVIDIA driver is ${gpu.driver}; torch built for ${choice} needs ${oldest} or newer.\n` +
          `  do: update the driver${choice === 'cu130' ? ', or take "--torch cu126"' : ', or take "--torch cpu"'}.`,
      )
    return { backend: choice, reason: `the ${choice} build, from PyTorch's own index` }
  }
  if (gpu && gpu.driver < 525)
    throw new SetupError(
      `The NVIDIA driver is ${gpu.driver}; every current torch build needs 525 or newer.\n  do: update the driver, or take "--torch cpu".`,
    )
  if (gpu && (gpu.driver < 580 || gpu.capability < 7.5))
    return {
      backend: 'cu126',
      reason: `the cu126 build, from PyTorch's own index: the locked one wants driver 580 and a GPU newer than V100 (found driver ${gpu.driver}, capability ${gpu.capability})`,
    }
  return {
    backend: 'locked',
    reason: gpu
      ? `the locked build, for the GPU found (driver ${gpu.driver})`
      : 'the locked build; it runs on the CPU here ("--torch cpu" is smaller, from PyTorch\'s own index)',
  }
}

const TORCH_FAMILY = /^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z-]+|cuda)==/

/**
 * The hashed lock without torch and its CUDA libraries, and the torch versions it names.
 *
 * @param {string} lock text of engine/requirements.lock
 * @returns {{ rest: string, torch: string[] }} `torch` e.g. ["torch==2.15.0 ; python_full_version >= '3.11'", …]
 */
export function withoutTorch(lock) {
  const blocks = lock.split(/\n(?=[a-z0-9])/i)
  const isTorch = (/** @type {string} */ block) => TORCH_FAMILY.test(block)
  const torch = blocks
    .filter((block) => /^(torch|torchvision)==/.test(block))
    .map((block) => (block.split('\n')[0] ?? '').replace(/\\$/, '').trim())
  return { rest: blocks.filter((block) => !isTorch(block)).join('\n'), torch }
}
