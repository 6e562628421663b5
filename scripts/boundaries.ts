/**
 * Which room may import which: `boundaries.json` held against every import under src/. Tests and what only they use (`testing/`) may import anything.
 * Files of the browser's rooms import no Node module, and only `#raster` reaches the platform's image decoder.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

export interface Boundaries {
  rooms: Record<string, string[]>
  browser: string[]
  not_browser: string[]
}

const IMPORT =
  /(?:^|[\s;])(?:import|export)\s+(type\s+)?(?:[^'"();]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

/** Every import of `file` that the boundaries forbid, one line each. */
export function violations(file: string, text: string, boundaries: Boundaries): string[] {
  const room = file.split('/')[1] ?? ''
  if (file.endsWith('.test.ts') || file.includes('/testing/') || !file.slice('src/'.length).includes('/'))
    return []
  const allowed = boundaries.rooms[room]
  if (allowed === undefined) return [`${file}: the room "${room}" is not in boundaries.json`]
  const inBrowser =
    boundaries.browser.some((at) => file.startsWith(at)) && !boundaries.not_browser.includes(file)
  const found: string[] = []
  for (const [, isType, static_, dynamic] of withoutComments(text).matchAll(IMPORT)) {
    const target = static_ ?? dynamic ?? ''
    if (target.startsWith('.')) {
      const other = normalize(join(dirname(file), target)).split('/')[1] ?? ''
      if (other !== room && !allowed.includes(other))
        found.push(`${file}: ${room} may not import ${other} (${target})`)
    } else if (inBrowser && !isType && /^(node:|sharp$|onnxruntime-node$)/.test(target)) {
      found.push(`${file}: runs in the browser, so it may not import ${target}`)
    } else if (target === 'sharp' && file !== 'src/imaging/raster_node.ts') {
      found.push(`${file}: only src/imaging/raster_node.ts imports sharp; go through #raster`)
    }
  }
  return found
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

if (import.meta.main) {
  const boundaries = JSON.parse(readFileSync('boundaries.json', 'utf8')) as Boundaries
  const files = globSync('src/**/*.ts').sort()
  const all = files.flatMap((file) => violations(file, readFileSync(file, 'utf8'), boundaries))
  for (const line of all) console.error(line)
  console.error(`boundaries: ${files.length} files, ${all.length} violations`)
  process.exitCode = all.length === 0 ? 0 : 1
}
