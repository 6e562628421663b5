// Output of the set-up: plain lines on stderr, so that it reads the same in a terminal, a log and CI.
import { spawn } from 'node:child_process'

/** A problem the user can mend: printed without a stack trace, exit code 2. */
export class SetupError extends Error {}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`)
}

/**
 * Runs a command, its output shown and kept.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, quiet?: boolean }} [options]
 * @returns {Promise<{ code: number, output: string }>} code 127 when the command does not exist
 */
export function run(command, args, options = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      output = (output + chunk.toString()).slice(-65536)
      if (!options.quiet) process.stderr.write(chunk)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', (error) => done({ code: 127, output: error.message }))
    child.on('close', (code) => done({ code: code ?? 1, output }))
  })
}

const NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|network is unreachable|timed out|dns error|failed to lookup|Name or service not known|NewConnectionError|Max retries exceeded|tcp connect error|error sending request/i
const CERTIFICATE =
  /CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UnknownIssuer|unable to (get|verify) .*certificate|invalid peer certificate/i
const REFUSED =
  /\bE40[13]\b|40[137] (Unauthorized|Forbidden|Proxy Authentication)|HTTP status client error \(40[137]/i
const DISK = /ENOSPC|No space left|Disk quota exceeded/i

/**
 * One message for a failed installer, by what its output shows.
 *
 * @param {string} what e.g. "Installing the Node packages"
 * @param {string} output of the installer
 */
export function explainFailure(what, output) {
  const tail = output.trim().split('\n').slice(-6).join('\n  | ')
  if (CERTIFICATE.test(output))
    return new SetupError(
      `${what} failed: a certificate was not accepted.\n` +
        '  do: behind a TLS-inspecting proxy, name its CA file in NODE_EXTRA_CA_CERTS (npm) and PIP_CERT (Python).\n' +
        `  | ${tail}`,
    )
  if (NETWORK.test(output))
    return new SetupError(
      `${what} failed: a package registry could not be reached.\n` +
        '  do: check the network; behind a proxy set HTTPS_PROXY; for a mirror set npm config "registry" and PIP_INDEX_URL.\n' +
        '  Run the same command again: what is installed stays.\n' +
        `  | ${tail}`,
    )
  if (REFUSED.test(output))
    return new SetupError(
      `${what} failed: the package registry or proxy refused access.\n` +
        '  do: check the credentials of your mirror or proxy (.npmrc, pip config, HTTPS_PROXY).\n' +
        `  | ${tail}`,
    )
  if (DISK.test(output))
    return new SetupError(`${what} failed: the disk is full. Free some space and run the same command again.`)
  return new SetupError(`${what} failed. The last lines of its output:\n  | ${tail}`)
}
