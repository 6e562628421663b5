// The Node packages, from package-lock.json; among them a newer Node where the host's is old.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkDisk, NODE_GB } from './requirements.mjs'
import { explainFailure, run, SetupError, say } from './say.mjs'

/** Makes node_modules hold what package-lock.json says, or returns at once when it does. @param {string} root */
export async function setupNode(root) {
  const stampFile = join(root, 'node_modules', '.fiducial-setup')
  const hash = createHash('sha256')
    .update(await readFile(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex')
  if (existsSync(stampFile) && (await readFile(stampFile, 'utf8')) === hash) {
    say('Node packages: up to date.')
    return
  }
  await checkDisk(root, NODE_GB)
  say(`Node packages: ${NODE_GB} GB on disk, 0.2 GB to download.`)
  // A running npm passes its own script on; npm is then called by the very node that runs this.
  const npm = process.env.npm_execpath
  const [command, args] = npm && existsSync(npm) ? [process.execPath, [npm]] : ['npm', []]
  const { code, output } = await run(command, [...args, 'ci', '--no-progress', '--loglevel=error'], {
    cwd: root,
    env: { ONNXRUNTIME_NODE_INSTALL: 'skip' },
  })
  if (code !== 0) throw explainFailure('Installing the Node packages', output)
  const node = existsSync(join(root, 'node_modules', '.bin', 'node'))
    ? join(root, 'node_modules', '.bin', 'node')
    : 'node'
  const version = await run(node, ['--version'], { quiet: true })
  const [major, minor] = version.output.replace('v', '').split('.').map(Number)
  if (version.code !== 0 || (major ?? 0) < 22 || (major === 22 && (minor ?? 0) < 18))
    throw new SetupError(
      `Node ${version.output.trim()} is too old and no newer one could be installed for this platform.\n  do: install Node 22.18 or newer.`,
    )
  await writeFile(stampFile, hash)
}
