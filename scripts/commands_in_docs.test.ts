import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { commands } from '../src/cli/registry.ts'
import { loadRecipe } from '../src/verbs/load_recipe.ts'

// What the documents tell a reader to type is held against the program.
const root = fileURLToPath(new URL('../', import.meta.url))
const documents = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })]
const read = (file: string) => readFileSync(join(root, file), 'utf8')

for (const file of documents) {
  const text = read(file)

  test(`every fiducial command in ${file} has a verb, flags and arguments that exist`, () => {
    for (const line of typed(text)) check(line)
  })

  test(`every npm script that ${file} names is in package.json`, () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const [, name] of text.matchAll(/\bnpm run (?:--\S+ )?([a-z:]+)/g)) assert.ok(scripts[name!], name)
  })

  test(`every file that ${file} links to is there`, () => {
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
      assert.ok(existsSync(join(root, dirname(file), target!)), target)
  })
}

test('commands in blocks and in running text are found, and a wrong one is named', () => {
  const text =
    'Type `fiducial serve <package…> --port 1`.\n```\n./fiducial init ~/x && ./fiducial run r.yaml # now\n```\n'
  assert.deepEqual(typed(text).toSorted(), [
    ['init', '~/x'],
    ['run', 'r.yaml'],
    ['serve', 'package…', '--port', '1'],
  ])
  assert.throws(() => check(['fetch', 'x']), /there is no verb fetch/)
  assert.throws(() => check(['serve', 'x', '--prot', '1']), /serve has no flag --prot/)
  assert.throws(() => check(['run', 'a.yaml', 'b.yaml']), /takes 1 arguments/)
})

test('the recipe in the README is valid', async () => {
  const [, yaml] = /^```yaml\n([\s\S]*?)^```/m.exec(read('README.md')) ?? []
  assert.ok(yaml)
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-readme-'))
  try {
    await writeFile(join(dir, 'recipe.yaml'), yaml)
    assert.equal((await loadRecipe(join(dir, 'recipe.yaml'))).recipe.name, 'chest')
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('the steps in the README are the verbs of the program', () => {
  const table = /\| step \|[\s\S]*?\n\n/.exec(read('README.md'))![0]
  const named = [...table.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell]) => cell!.match(/[a-z]+/g)!)
  assert.deepEqual(named.toSorted(), Object.keys(commands).toSorted())
})

/** Commands in fenced blocks and `spans`: the words after fiducial. */
function typed(text: string): string[][] {
  const fences = [...text.matchAll(/^```[a-z]*\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split('\n'))
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, span]) => span!)
  return [...fences, ...spans]
    .flatMap((line) => line.replace(/(^|\s)#.*/, '').split(/&&|\|(?![a-z])/))
    .map((line) => line.replaceAll(/<([^>]*)>/g, (_, name: string) => name.replaceAll(' ', '-')).trim())
    .filter((line) => /^(npx |\.\/)?fiducial /.test(line))
    .map((line) => line.replace(/^\S*(npx )?fiducial /, '').match(/"[^"]*"|\S+/g) ?? [])
    .filter(([verb]) => verb !== 'verb')
}

function check(words: readonly string[]): void {
  const line = `fiducial ${words.join(' ')}`
  if (words[0] === '--help' || words[0] === '--version') return
  const make = (commands as Record<string, () => Command>)[words[0]!]
  assert.ok(make, `${line}: there is no verb ${words[0]}`)
  let cmd = make()
  let rest = words.slice(1)
  const sub = cmd.commands.find((child) => child.name() === rest[0])
  if (sub) [cmd, rest] = [sub, rest.slice(1)]
  const known = new Set(['--help', ...cmd.options.flatMap((option) => [option.long, option.short])])
  for (const word of rest.filter((word) => word.startsWith('--')))
    assert.ok(known.has(word.split('=')[0]!), `${line}: ${cmd.name()} has no flag ${word}`)
  if (rest.length === 0 || rest.includes('--help')) return
  const { operands } = cmd.parseOptions(rest.filter((word) => word !== '…'))
  const most = cmd.registeredArguments.some((arg) => arg.variadic) ? Infinity : cmd.registeredArguments.length
  assert.ok(operands.length <= most, `${line}: ${cmd.name()} takes ${most} arguments`)
}
