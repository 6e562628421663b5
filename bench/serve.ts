/**
 * Seconds from the start of `fiducial serve <package>` to its first prediction. Goal: at most 2 s on 2 cores.
 *
 *   node bench/serve.ts [<package> <image>]     without them: a package around a network of one layer
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { encodePng } from '#raster'
import { writeTinyPackage } from '../src/package/testing/tiny_package.ts'
import { fiducialPath } from './run_fiducial.ts'

const [givenPackage, givenImage] = process.argv.slice(2)
const scratch = await mkdtemp(join(tmpdir(), 'fiducial-bench-serve-'))
const packageDir = givenPackage ?? join(scratch, 'one-layer')
if (givenPackage === undefined) await writeTinyPackage(packageDir)
const bytes =
  givenImage === undefined
    ? await encodePng({ height: 1000, width: 1200, channels: 1, data: new Uint8Array(1_200_000) })
    : await readFile(givenImage)

for (let i = 0; i < 3; i++) {
  const start = performance.now()
  const server = spawn(fiducialPath, ['serve', packageDir, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  for await (const line of createInterface({ input: server.stdout })) {
    const { url } = JSON.parse(line) as { url: string }
    const ready = (performance.now() - start) / 1000
    const answer = await fetch(`${url}/v1/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: bytes,
    })
    if (!answer.ok) throw new Error(`the server answered ${answer.status}: ${await answer.text()}`)
    await answer.json()
    const first = (performance.now() - start) / 1000
    console.log(
      JSON.stringify({
        package: givenPackage ?? 'one layer',
        ready_seconds: Number(ready.toFixed(2)),
        first_prediction_seconds: Number(first.toFixed(2)),
      }),
    )
    break
  }
  server.kill('SIGTERM')
  await new Promise((done) => server.on('close', done))
}
await rm(scratch, { recursive: true })
