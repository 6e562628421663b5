import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeTinyPackage } from '../package/testing/tiny_package.ts'
import { smallCases, smallRecipe, writeDataSet } from '../prepare/testing/small_data_set.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
let dir: string
let mounted: string | null = null
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-read-only-'))
  const folder = join(dir, 'closed')
  await mkdir(folder)
  await writeDataSet(join(dir, 'data'), smallCases(20))
  await writeFile(join(dir, 'recipe.yaml'), JSON.stringify(smallRecipe('data')))
  await writeTinyPackage(join(dir, 'package'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder], { stdio: 'ignore' })
    mounted = folder
  } catch {} // not root, or a container that may not mount
})
after(async () => {
  if (mounted !== null) execFileSync('umount', [mounted])
  await rm(dir, { recursive: true })
})

test('a read-only output folder is one clear message and exit code 2', async (t) => {
  if (mounted === null) return t.skip('mounting a read-only file system needs root')
  const lines = [
    ['init', 'data', '--out', 'closed/recipe.yaml'],
    ['inspect', 'data', '--contact-sheet', 'closed/sheet.png'],
    ['prepare', 'recipe.yaml', '--out', 'closed/set'],
    ['train', 'recipe.yaml', '--out', 'set', '--run-dir', 'closed/run'],
    ['predict', 'package', 'data', '--out', 'closed/predictions'],
  ]
  for (const line of lines) {
    const { code, stderr } = await fiducial(line)
    assert.equal(code, 2, `${line.join(' ')}\n${stderr}`)
    assert.match(stderr, /The file system is read-only\. Choose another folder.*\n {2}at: .*closed/, line[0])
    assert.doesNotMatch(stderr, /\n\s+at \S+ \(/, line[0])
  }
})

function fiducial(args: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, ...args], { cwd: dir }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stderr }),
    ),
  )
}
