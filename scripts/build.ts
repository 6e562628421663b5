/**
 * npm run build: the JavaScript and types in dist/ that an installed package runs, since Node strips no types below
 * node_modules. The checkout itself never reads dist/. `npm run build && npm pack` makes the tarball.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
rmSync('dist', { recursive: true, force: true })

const { status, error } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (error) throw error
if (status !== 0) process.exit(1)

/** What the code reads from beside itself. */
const besideCode = ['schema/recipe.schema.json', ...globSync('serve/page/*', { cwd: 'src' })]
for (const file of besideCode) cpSync(join('src', file), join('dist', file))

// A package.json of its own: below dist/ what depends on the platform is the compiled code.
const { imports } = JSON.parse(readFileSync('package.json', 'utf8')) as { imports: Record<string, unknown> }
const compiled = { '#gzip': './imaging/nifti/gzip_node.js', '#raster': './imaging/raster_node.js' }
const scope = { type: 'module', imports: { ...imports, ...compiled } }
writeFileSync('dist/package.json', `${JSON.stringify(scope, null, 2)}\n`)
chmodSync('dist/cli/main.js', 0o755)
