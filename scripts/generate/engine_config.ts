import type { z } from 'zod'
import * as augment from '../../src/schema/augment.ts'
import * as prediction from '../../src/schema/prediction.ts'
import * as preprocess from '../../src/schema/preprocess.ts'
import * as run from '../../src/schema/run.ts'
import * as shardSet from '../../src/schema/shard_set.ts'
import * as task from '../../src/schema/task.ts'
import * as train from '../../src/schema/train.ts'

/** What the engine reads or writes; everything they are made of follows. */
const ROOTS = {
  RunConfig: run.RunConfig,
  CheckpointPointer: run.CheckpointPointer,
  RunLock: run.RunLock,
  RunEvent: run.RunEvent,
  Prediction: prediction.Prediction,
  ShardIndex: shardSet.ShardIndex,
  LabelsTable: shardSet.LabelsTable,
  SplitTable: shardSet.SplitTable,
  TableCase: shardSet.TableCase,
}
/** Where a key that says nothing about itself is described: the recipe's schema of the same thing. */
const DESCRIBED_BY: Record<string, z.ZodType> = {
  EngineTrain: train.TrainConfig,
  EngineTask: task.ClassifyTask,
}
const HEADER = `# Generated from src/schema by scripts/generate.ts. Edit it there.
"""Types of every file that the engine shares with TypeScript. It fills every default; there are none here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias
`

/** The text of `engine/fiducial_engine/config.py`: frozen dataclasses, parts before the whole. */
export function engineConfig(): string {
  const writer = new PythonTypes()
  for (const [name, schema] of Object.entries(ROOTS)) writer.typeOf(schema, name)
  return `${HEADER}\n\n${writer.blocks.join('\n\n')}`
}

type Def = {
  type: string
  format?: string
  values?: unknown[]
  entries?: Record<string, string>
  innerType?: z.ZodType
  options?: z.ZodType[]
  discriminator?: string
  shape?: Record<string, z.ZodType>
  element?: z.ZodType
  items?: z.ZodType[]
  valueType?: z.ZodType
}
const def = (schema: z.ZodType): Def => schema._zod.def as unknown as Def

/** Schemas that have an exported name keep it in Python; `.describe()` makes a copy that shares the definition. */
const EXPORTED = new Map<Def, string>(
  [augment, preprocess, prediction, run, shardSet, task, train]
    .flatMap((module) => Object.entries(module as Record<string, unknown>))
    .filter(([, value]) => typeof value === 'object' && value !== null && '_zod' in value)
    .map(([name, value]) => [def(value as z.ZodType), name]),
)

class PythonTypes {
  readonly blocks: string[] = []
  private readonly written = new Map<Def, string>()

  /** The Python type of a schema; writes the dataclasses it needs. `name` is for a schema without one. */
  typeOf(schema: z.ZodType, name: string): string {
    const d = def(schema)
    switch (d.type) {
      case 'string':
        return 'str'
      case 'boolean':
        return 'bool'
      case 'null':
        return 'None'
      case 'number':
        return d.format === 'safeint' ? 'int' : 'float'
      case 'literal':
        return literal(d.values!)
      case 'enum':
        return literal(Object.values(d.entries!))
      case 'array':
        return `tuple[${this.typeOf(d.element!, singular(name))}, ...]`
      case 'tuple':
        return `tuple[${d.items!.map((item, i) => this.typeOf(item, `${name}${i}`)).join(', ')}]`
      case 'record':
        return `dict[str, ${this.typeOf(d.valueType!, singular(name))}]`
      case 'lazy': // Only z.json() is lazy here.
        return 'Any'
      case 'nullable':
        return `${this.typeOf(d.innerType!, name)} | None`
      case 'optional': // A key that old files lack: the one thing that may be absent, None then.
        return `Annotated[${this.typeOf(d.innerType!, name)} | None, "may be absent"]`
      case 'default': // TypeScript has filled it before the engine sees the file.
      case 'prefault':
        return this.typeOf(d.innerType!, name)
      case 'union':
        return this.union(schema, name)
      case 'object':
        return this.dataclass(schema, name)
      default:
        throw new Error(`${name}: scripts/generate/engine_config.ts knows no Python type for ${d.type}`)
    }
  }

  private union(schema: z.ZodType, fallback: string): string {
    const d = def(schema)
    const done = this.written.get(def(schema))
    if (done) return done
    const name = EXPORTED.get(def(schema)) ?? fallback
    const members = d.options!.map((option, i) =>
      this.typeOf(option, memberName(option, d.discriminator, name, i)),
    )
    const union = [...new Set(members)].join(' | ')
    if (d.discriminator === undefined) return union
    const oneLine = `${name}: TypeAlias = ${union}\n`
    this.blocks.push(oneLine.trimEnd().length <= LINE ? oneLine : `${name}: TypeAlias = (\n    ${union}\n)\n`)
    this.written.set(def(schema), name)
    return name
  }

  private dataclass(schema: z.ZodType, fallback: string): string {
    const done = this.written.get(def(schema))
    if (done) return done
    const name = EXPORTED.get(def(schema)) ?? fallback
    this.written.set(def(schema), name)
    const described = DESCRIBED_BY[name] ? def(DESCRIBED_BY[name]).shape! : {}
    const fields = Object.entries(def(schema).shape!).map(([key, value]) => {
      const type = this.typeOf(value, `${name}${pascal(key)}`)
      const description = describe(value) ?? (described[key] ? describe(described[key]) : undefined)
      return field(key, type, description)
    })
    this.blocks.push(`@dataclass(frozen=True, slots=True, kw_only=True)\nclass ${name}:\n${fields.join('')}`)
    return name
  }
}

const LINE = 120

function field(key: string, type: string, description: string | undefined): string {
  const short = `    ${key}: ${type}`
  const line = short.length <= LINE ? short : short.replace(/\[(.*)\]$/, '[\n        $1\n    ]')
  if (description === undefined) return `${line}\n`
  const after = `${line}  # ${description}`
  if (after.length <= LINE) return `${after}\n`
  return `${wrap(description, LINE - 6)
    .map((part) => `    # ${part}\n`)
    .join('')}${line}\n`
}

/** What a schema says of itself, looking through defaults and null. */
function describe(schema: z.ZodType): string | undefined {
  const inner = def(schema).innerType
  return schema.description ?? (inner ? describe(inner) : undefined)
}

/** A member of a union is named by its discriminator: kind 'adamw' of Optimizer is AdamwOptimizer. */
function memberName(option: z.ZodType, key: string | undefined, union: string, i: number): string {
  const value = key === undefined ? undefined : def(def(option).shape![key]!).values?.[0]
  return value === undefined
    ? `${union}${i}`
    : `${pascal(String(value))}${union.replace(/^(Engine|Run)/, '')}`
}

const literal = (values: readonly unknown[]) =>
  `Literal[${values.map((v) => (typeof v === 'boolean' ? (v ? 'True' : 'False') : JSON.stringify(v))).join(', ')}]`
const pascal = (key: string) =>
  key
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
const singular = (name: string) => name.replace(/s$/, '')

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
