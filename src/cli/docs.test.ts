import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { ZodObject } from 'zod'
import { Evaluation } from '../schema/evaluation.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import * as results from '../schema/results.ts'
import { commands } from './registry.ts'

// docs/cli.md is held against the program: verbs, flags and --json keys.
const text = readFileSync(fileURLToPath(new URL('../../docs/cli.md', import.meta.url)), 'utf8')

/** What each verb prints with --json. */
const printed: Record<string, ZodObject> = {
  init: results.InitResult,
  inspect: results.InspectResult,
  run: results.RunResult,
  prepare: results.PrepareResult,
  train: results.TrainResult,
  evaluate: Evaluation,
  'evaluate masks': SegmentEvaluation,
  package: results.PackageResult,
  predict: results.PredictResult,
  serve: results.ServeReady,
  'runs list': results.RunsListResult,
  'runs show': results.RunsShowResult,
  'runs logs': results.RunsLogsResult,
  'runs compare': results.RunsCompareResult,
}

/** The part of the page under a heading, to the next one. */
function section(title: string): string {
  const heading = new RegExp(`^#{2,3} ${title}$`, 'm').exec(text)
  assert.ok(heading, `docs/cli.md has no section "${title}"`)
  const rest = text.slice(heading.index + heading[0].length)
  return rest.slice(0, /^#{2,3} /m.exec(rest)?.index)
}

/** Names in the first column of a section's table of keys. */
function documentedKeys(of: string): string[] {
  const table = of.slice(of.indexOf('| key | is |'))
  return [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap((row) =>
    [...row[1]!.matchAll(/`([a-z0-9_]+)`/g)].map((m) => m[1]!),
  )
}

function leaves(cmd: Command, path: string[] = []): { name: string; cmd: Command }[] {
  const at = [...path, cmd.name()]
  if (cmd.commands.length === 0) return [{ name: at.join(' '), cmd }]
  return cmd.commands.flatMap((child) => leaves(child, at))
}

const OF_ALL = ['--json', '--quiet', '--help']
for (const { name, cmd } of Object.values(commands).flatMap((make) => leaves(make()))) {
  test(`docs/cli.md says of ${name} what it prints`, () => {
    const schema = printed[name]
    assert.ok(schema, `say in this test what ${name} prints`)
    assert.deepEqual(documentedKeys(section(name)).toSorted(), Object.keys(schema.shape).toSorted())
  })

  test(`docs/cli.md names every flag of ${name}, and no other`, () => {
    const flags = cmd.options.map((option) => option.long!).filter((flag) => !OF_ALL.includes(flag))
    const prose = section(name).replace(/^```[\s\S]*?^```/gm, '')
    const named = /^Flags: ([\s\S]*?)(?:\.\s|\.$)/m.exec(prose)?.[1] ?? ''
    const documented = [...named.matchAll(/`(--[a-z-]+)/g)].map((m) => m[1]!)
    assert.deepEqual(documented.toSorted(), flags.toSorted())
    const examples = [...section(name).matchAll(/^(?:\.\/fiducial .*?) (--[a-z-]+)/gm)].map((m) => m[1]!)
    for (const flag of examples) assert.ok([...flags, ...OF_ALL].includes(flag), flag)
    assert.match(section(name), new RegExp(`^\\./fiducial ${name}( |$)`, 'm'))
  })
}

test('docs/cli.md says what evaluate prints of masks', () => {
  assert.deepEqual(
    documentedKeys(section('evaluate masks')).toSorted(),
    Object.keys(SegmentEvaluation.shape).toSorted(),
  )
})

test('docs/cli.md names every key of predictions: under predict, and what only the server adds under volumes', () => {
  const added = documentedKeys(section('Volumes over HTTP'))
  const known = Object.keys(results.PredictResult.shape.predictions.element.shape)
  for (const key of known) assert.ok(added.includes(key) || section('predict').includes(`\`${key}\``), key)
  for (const key of added) assert.ok(known.includes(key), key)
})

test('docs/cli.md has no section for a verb that does not exist', () => {
  const titles = [...text.matchAll(/^#{2,3} ([a-z ]+)$/gm)].map((m) => m[1]!)
  const known = [...Object.keys(commands), ...Object.keys(printed)]
  assert.deepEqual(
    titles.filter((title) => !known.includes(title)),
    [],
  )
})
