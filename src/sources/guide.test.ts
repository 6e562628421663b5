import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { DataConfig, LabelColumns, Source, Split } from '../schema/data.ts'
import { parse, parseRecipe } from '../schema/parse.ts'
import { Recipe } from '../schema/recipe.ts'
import { Task } from '../schema/task.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guides/data.md', import.meta.url)), 'utf8')

test('the recipes of docs/guides/data.md are valid', () => {
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!)
  assert.equal(blocks.length, 2)
  for (const block of blocks) parse(DataConfig, parseYaml(block).data, block)
})

test('the recipes and the task of docs/guides/volumes.md are valid, and its layouts are sources', () => {
  const volumes = readFileSync(
    fileURLToPath(new URL('../../docs/guides/volumes.md', import.meta.url)),
    'utf8',
  )
  const [recipe, task, scored] = [...volumes.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!)
  for (const text of [recipe, scored]) {
    const { prepare } = parseRecipe(parseYaml(text!), 'a recipe of the guide')
    assert.equal(prepare.kind, 'volume')
  }
  parse(Task, parseYaml(task!).task, 'the task of the guide')
  const sources = [...volumes.matchAll(/`source: (\{[^`]*\}|\w+)`/g)].map((match) => parseYaml(match[1]!))
  assert.ok(sources.length >= 4)
  for (const source of sources)
    parse(Source, typeof source === 'string' ? { kind: source } : source, 'a source of the guide')
})

test('the recipes of docs/guides/dicom.md are valid', () => {
  const text = readFileSync(fileURLToPath(new URL('../../docs/guides/dicom.md', import.meta.url)), 'utf8')
  const [images, series] = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!)
  const { source } = parse(DataConfig, parseYaml(images!).data, 'the images of the guide')
  assert.equal(source.kind, 'dicom')
  const recipe = parseRecipe({ name: 'series', ...parseYaml(series!) }, 'the series of the guide')
  assert.equal(recipe.prepare.kind, 'volume')
})

test('the keys of a recipe that docs/guides/volumes.md explains exist', () => {
  const volumes = readFileSync(
    fileURLToPath(new URL('../../docs/guides/volumes.md', import.meta.url)),
    'utf8',
  )
  const rows = volumes
    .split('\n')
    .filter((line) => /^\| `(prepare|task|model|augment|train|evaluate)\./.test(line))
  const keys = rows.flatMap((row) =>
    [...row.split('|')[1]!.matchAll(/`([\w.]+)`/g)].map((match) => match[1]!),
  )
  assert.ok(keys.length >= 12)
  const schema = JSON.stringify(Object.values(z.toJSONSchema(Recipe, { io: 'input' })))
  for (const key of keys) assert.ok(schema.includes(`"${key.split('.').at(-1)}":`), key)
})

test('so are its forms of labels and splits', () => {
  const forms = [...guide.matchAll(/\| `(\{ column[^`]*|\{ columns[^`]*)` \|$/gm)].map((match) => match[1]!)
  assert.equal(forms.length, 4)
  for (const form of forms) parse(LabelColumns, parseYaml(form.replaceAll('\\|', '|')), form)
  const splits = [...guide.matchAll(/^\| `split: (\{[^`]*)` \|/gm)].map((match) => match[1]!)
  assert.equal(splits.length, 4)
  for (const split of splits) parse(Split, parseYaml(split), split)
})
