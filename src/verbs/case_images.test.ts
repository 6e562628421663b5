import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { writeDecathlonLayout } from '../sources/volume_layout_fixture.ts'
import { imagesOfCases } from './case_images.ts'
import { loadRecipe } from './load_recipe.ts'

let scratch = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-case-images-'))
})
after(() => rm(scratch, { recursive: true, force: true }))

const { signal } = new AbortController()

/** A data set, and what a shard set notes of where its cases lie. */
async function prepared(name: string) {
  const root = join(scratch, name, 'data')
  await writeDecathlonLayout(root, [{ name: 'a' }, { name: 'b' }])
  const shardSet = join(scratch, name, 'prepared/set')
  await mkdir(join(shardSet, 'private'), { recursive: true })
  const lines = ['a', 'b'].map((case_id) =>
    JSON.stringify({ case_id, images: [join(root, `imagesTr/${case_id}.nii.gz`)], mask: null }),
  )
  await writeFile(join(shardSet, 'private/sources.jsonl'), `${lines.join('\n')}\n`)
  return { root, shardSet }
}

test('images are where they were prepared, or, of a data set that moved, where the recipe says', async () => {
  const { root, shardSet } = await prepared('moved')
  const before = await imagesOfCases(shardSet, undefined, signal)
  assert.deepEqual(await before('b'), [join(root, 'imagesTr/b.nii.gz')])
  const now = join(scratch, 'moved/elsewhere')
  await rename(root, now)
  const recipe = join(scratch, 'moved/recipe.yaml')
  await writeFile(
    recipe,
    'name: moved\ndata: { root: elsewhere, source: decathlon }\ntask: { kind: segment, labels: { Anterior: 1, Posterior: 2 } }\n',
  )
  const imagesOf = await imagesOfCases(shardSet, await loadRecipe(recipe), signal)
  assert.deepEqual(await imagesOf('b'), [join(now, 'imagesTr/b.nii.gz')])
  await assert.rejects(
    imagesOf('c'),
    /images of c are not where "prepare" read them, nor in the data set of --data/,
  )
})

test('images that are gone are refused with what to do', async () => {
  const { root, shardSet } = await prepared('gone')
  await rm(root, { recursive: true })
  const imagesOf = await imagesOfCases(shardSet, undefined, signal)
  await assert.rejects(
    imagesOf('a'),
    /images of a are not where "prepare" read them\.\n {2}do: .*--data <recipe>/,
  )
})
