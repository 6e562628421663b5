/**
 * npm run bench: the files of bench/ one after the other, never two at once; each line they print comes out as
 * `{"bench": <file>, …}`. `npm run bench -- evaluate loader` runs those two. Timings need a quiet machine.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const python = '.venv/bin/python'
const benches: { file: string; needs: string[] }[] = [
  { file: 'bench/evaluate.ts', needs: [] },
  { file: 'bench/imaging.ts', needs: [python] },
  { file: 'bench/masks.ts', needs: [python] },
  { file: 'bench/prepare.ts', needs: [] },
  { file: 'bench/prepare_volumes.ts', needs: [python] },
  { file: 'bench/volume_memory.ts', needs: [] },
  { file: 'bench/resample.ts', needs: [python] },
  { file: 'bench/dicom_series.ts', needs: [python] },
  { file: 'bench/serve.ts', needs: [] },
  { file: 'bench/loader.py', needs: [python] },
  { file: 'bench/chest_kermany.ts', needs: [python, '../shared/data/chest-kermany'] },
]

const words = process.argv.slice(2)
const chosen = benches.filter(({ file }) => words.length === 0 || words.some((word) => file.includes(word)))
if (chosen.length === 0) {
  console.error(`No bench is called ${words.join(' or ')}; there are ${benches.map(nameOf).join(', ')}.`)
  process.exit(2)
}
for (const { file, needs } of chosen) {
  const missing = needs.filter((path) => !existsSync(path))
  if (missing.length > 0) {
    print({ bench: nameOf({ file }), skipped: `there is no ${missing.join(' and no ')}` })
    continue
  }
  const { status, stdout } = spawnSync(file.endsWith('.py') ? python : process.execPath, [file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PYTHONPATH: 'engine' },
  })
  for (const line of stdout.split('\n').filter((text) => text.startsWith('{')))
    print({ bench: nameOf({ file }), ...(JSON.parse(line) as object) })
  if (status === 0) continue
  print({ bench: nameOf({ file }), failed: status })
  process.exitCode = 1
}

function nameOf({ file }: { file: string }): string {
  return basename(file).replace(/\.(ts|py)$/, '')
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
