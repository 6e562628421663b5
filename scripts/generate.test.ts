import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engineConfig } from './generate/engine_config.ts'
import { recipeJsonSchema } from './generate/recipe_json_schema.ts'
import { drift } from './generate.ts'

test('the committed generated files are what the schemas say', async () => {
  assert.deepEqual(await drift(), [], 'run: node scripts/generate.ts')
})

test('a discriminated union becomes one dataclass a variant, without defaults', () => {
  const text = engineConfig()
  assert.match(text, /class AdamwOptimizer:\n {4}kind: Literal\["adamw"\]\n {4}betas: tuple\[float, float\]/)
  assert.match(text, /Optimizer: TypeAlias = AdamwOptimizer \| SgdOptimizer/)
  assert.doesNotMatch(text, /^ {4}\w+: [^#\n]* = /m)
})

test('editors accept a bare name where a variant has no other required key, and only there', () => {
  const schema = recipeJsonSchema() as {
    properties: Record<string, { properties: Record<string, { anyOf?: unknown[] }> }>
  }
  const source = schema.properties.data!.properties.source!
  assert.deepEqual(source.anyOf![0], {
    enum: ['folder', 'chestxray14', 'mhist', 'decathlon', 'nnunet', 'dicom', 'phantom', 'phantom_volumes'],
  })
  assert.deepEqual(schema.properties.train!.properties.optimizer!.anyOf![0], { enum: ['adamw', 'sgd'] })
  assert.equal(Object.hasOwn(schema.properties.task!, 'anyOf'), false)
})
