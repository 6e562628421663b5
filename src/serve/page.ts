import { readFile } from 'node:fs/promises'

export interface PageFile {
  path: string
  type: string
  body: Buffer
  headers: Record<string, string>
}

/**
 * The plain page at `/`: three files of its own and nothing from anywhere else; the policy makes the browser hold
 * it to that. `blob:` is for previews of dropped images, `data:` for an empty icon.
 */
export async function pageFiles(): Promise<PageFile[]> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src blob: data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const headers = { 'content-security-policy': policy, 'cross-origin-opener-policy': 'same-origin' }
  return Promise.all(
    Object.entries(FILES).map(async ([path, [file, type]]) => ({
      path,
      type: `${type}; charset=utf-8`,
      body: await readFile(new URL(`./page/${file}`, import.meta.url)),
      headers,
    })),
  )
}

const FILES = {
  '/': ['index.html', 'text/html'],
  '/page.css': ['page.css', 'text/css'],
  '/page.js': ['page.js', 'text/javascript'],
} as const
