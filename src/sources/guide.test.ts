import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { DataConfig, LabelColumns, Split } from '../schema/data.ts'
import { parse } from '../schema/parse.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guides/data.md', import.meta.url)), 'utf8')

test('the recipes of docs/guides/data.md are valid', () => {
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!)
  assert.equal(blocks.length, 2)
  for (const block of blocks) parse(DataConfig, parseYaml(block).data, block)
})

test('so are its forms of labels and splits', () => {
  const forms = [...guide.matchAll(/\| `(\{ column[^`]*|\{ columns[^`]*)` \|$/gm)].map((match) => match[1]!)
  assert.equal(forms.length, 4)
  for (const form of forms) parse(LabelColumns, parseYaml(form.replaceAll('\\|', '|')), form)
  const splits = [...guide.matchAll(/^\| `split: (\{[^`]*)` \|/gm)].map((match) => match[1]!)
  assert.equal(splits.length, 4)
  for (const split of splits) parse(Split, parseYaml(split), split)
})
