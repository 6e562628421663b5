import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../fiducial', import.meta.url))

export const say = (line = '') => process.stdout.write(`${line}\n`)
export const heading = (line: string) => say(`\n${line}\n${'-'.repeat(line.length)}`)

/**
 * Types one fiducial command: shows it and what it writes to stderr, and returns the one JSON object that it prints.
 *
 * @throws {Error} when the exit code is another than expected
 */
export function typeCommand<T>(
  args: string[],
  options: { expect: number },
): Promise<{ json: T | null; stderr: string }> {
  say(`\n$ ./fiducial ${args.join(' ')}`)
  return new Promise((done, fail) => {
    const child = spawn(program, [...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
      process.stderr.write(chunk)
    })
    child.on('error', fail)
    child.on('close', (code) => {
      if (code === options.expect)
        done({ json: stdout.trim() === '' ? null : (JSON.parse(stdout) as T), stderr })
      else
        fail(
          new Error(`./fiducial ${args.join(' ')} was expected to exit ${options.expect} and exited ${code}`),
        )
    })
  })
}
