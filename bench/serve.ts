/**
 * Seconds from the start of `fiducial serve <package>` to its first prediction. Goal: at most 2 s on 2 cores.
 *
 *   node bench/serve.ts <package> <image>
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fiducialPath } from './cli.ts'

const [packageDir, image] = process.argv.slice(2)
if (packageDir === undefined || image === undefined)
  throw new Error('usage: node bench/serve.ts <package> <image>')
const bytes = await readFile(image)

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
        ready_seconds: Number(ready.toFixed(2)),
        first_prediction_seconds: Number(first.toFixed(2)),
      }),
    )
    break
  }
  server.kill('SIGTERM')
  await new Promise((done) => server.on('close', done))
}
