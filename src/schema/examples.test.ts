import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SchemaError } from './errors.ts'
import { parse, parseRecipe } from './parse.ts'
import { CheckpointPointer, RunConfig, RunEvent, RunLock } from './run.ts'
import { LabelsTable, ShardIndex, SplitTable } from './shard_set.ts'

// The same files run under pytest (engine/tests/test_strict.py), but for the recipes, which the engine never reads.
const readers: Record<string, (value: unknown, where: string) => unknown> = {
  run: (value, where) => parse(RunConfig, value, where),
  run_event: (value, where) => parse(RunEvent, value, where),
  run_lock: (value, where) => parse(RunLock, value, where),
  checkpoint_pointer: (value, where) => parse(CheckpointPointer, value, where),
  shard_index: (value, where) => parse(ShardIndex, value, where),
  labels_table: (value, where) => parse(LabelsTable, value, where),
  split_table: (value, where) => parse(SplitTable, value, where),
  recipe: parseRecipe,
}

for (const [kind, read] of Object.entries(readers)) {
  for (const [file, value] of examples(kind, 'valid')) {
    test(`the ${kind} example ${file} is accepted`, () => {
      read(value, file)
    })
  }
  for (const [file, example] of examples(kind, 'invalid')) {
    const { mistakes, value } = example as { mistakes: string[]; value: unknown }
    test(`the ${kind} example ${file} is refused, naming ${mistakes.join(' and ')}`, () => {
      assert.throws(
        () => read(value, file),
        (error) => {
          assert(error instanceof SchemaError)
          const named = error.message
            .split('\n')
            .slice(1)
            .map((line) => line.trim().split(':')[0])
          assert.deepEqual(named.sort(), [...mistakes].sort())
          return true
        },
      )
    })
  }
}

function examples(kind: string, validity: 'valid' | 'invalid'): [string, unknown][] {
  const dir = join(import.meta.dirname, 'examples', kind, validity)
  return readdirSync(dir).map((file) => [file, JSON.parse(readFileSync(join(dir, file), 'utf8'))])
}
