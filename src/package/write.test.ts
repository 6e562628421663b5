import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type PackageOwner, publishPackage, refuseOccupied } from './write.ts'

let dir: string
let out: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-publish-'))
  out = join(dir, 'package')
})
afterEach(() => rm(dir, { recursive: true }))

const publish = ({ name, run }: PackageOwner, version: string) =>
  publishPackage(out, { name, run }, (folder) =>
    writeFile(
      join(folder, 'model.json'),
      JSON.stringify({ name, version, status: 'draft', provenance: { run } }),
    ),
  )
const versionThere = async () => JSON.parse(await readFile(join(out, 'model.json'), 'utf8')).version
const OURS = { name: 'chest', run: 'chest-1' }
const THEIRS = { name: 'elsewhere', run: null }

test('a newer package of the same model takes the place of the older one, and nothing is left beside it', async () => {
  for (const owner of [OURS, THEIRS]) {
    await publish(owner, '1')
    await publish(owner, '2')
    assert.equal(await versionThere(), '2')
    assert.deepEqual(await readdir(dir), ['package'])
    await rm(out, { recursive: true })
  }
})

test('the package of another run, or of another model of another tool, is kept', async () => {
  for (const [there, owner] of [
    [OURS, { ...OURS, run: 'chest-2' }],
    [THEIRS, { ...THEIRS, name: 'third' }],
    [OURS, THEIRS],
  ] as const) {
    await publish(there, '1')
    await assert.rejects(publish(owner, '2'), new RegExp(`package of another model, ${there.name}`))
    assert.equal(await versionThere(), '1')
    await rm(out, { recursive: true })
  }
})

test('in a run that was renamed or copied the package of its training is replaced, that of another is kept', async () => {
  const training = { recipe_hash: 'a', set_id: 'b', split_id: 'c', seed: 0 }
  const provenance = { ...training, run: OURS.run }
  await mkdir(out)
  await writeFile(join(out, 'model.json'), JSON.stringify({ ...OURS, status: 'draft', provenance }))
  const moved = { ...OURS, run: 'renamed' }
  await assert.rejects(refuseOccupied(out, moved), /another model/)
  await assert.rejects(refuseOccupied(out, { ...moved, training: { ...training, seed: 1 } }), /another model/)
  await refuseOccupied(out, { ...moved, training })
})

test('a package that a kill left beside its place is back before the next one is built', async () => {
  await publish(OURS, '1')
  await rename(out, join(dir, '.package-0123abcd.old'))
  await assert.rejects(
    publishPackage(out, OURS, async () => {
      throw new Error('stopped')
    }),
  )
  assert.equal(await versionThere(), '1')
  assert.deepEqual(await readdir(dir), ['package'])
})

test('abandoned builds are removed; one under way and folders of other names are not', async () => {
  const names = [
    '.package-00000001.tmp',
    '.package-00000002.tmp',
    '.package-old.tmp',
    '.package-0123abcd.old',
  ]
  for (const name of names) await mkdir(join(dir, name))
  await utimes(join(dir, names[0]!), 0, 0)
  await publish(OURS, '1')
  // The empty .old took the empty place and was then replaced.
  assert.deepEqual((await readdir(dir)).sort(), [...names.slice(1, 3), 'package'].sort())
})
