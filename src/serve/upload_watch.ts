import type { IncomingMessage } from 'node:http'

/**
 * Calls `onStall` once when nothing arrives for `idleMs` although the body is not complete; a connection that was
 * promised bytes and gets none holds room that others need.
 *
 * @returns ends the watch
 */
export function watchUpload(request: IncomingMessage, idleMs: number, onStall: () => void): () => void {
  let seen = request.socket.bytesRead
  const timer = setInterval(() => {
    if (request.complete || request.readableEnded) return clearInterval(timer)
    const { bytesRead } = request.socket
    if (bytesRead === seen) {
      clearInterval(timer)
      onStall()
    }
    seen = bytesRead
  }, idleMs)
  timer.unref()
  return () => clearInterval(timer)
}
