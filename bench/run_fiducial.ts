import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const fiducialPath = fileURLToPath(new URL('../fiducial', import.meta.url))

/** Runs one fiducial command in `cwd` and returns the object that it prints with --json. */
export function runFiducial<T>(args: readonly string[], cwd: string): Promise<T> {
  return new Promise((done, fail) => {
    const child = spawn(fiducialPath, [...args, '--json', '--quiet'], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.on('error', fail)
    child.on('close', (code) => {
      if (code === 0) done(JSON.parse(stdout) as T)
      else fail(new Error(`fiducial ${args.join(' ')} exited ${code}`))
    })
  })
}
