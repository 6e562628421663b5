import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { goldenInputs } from '../package/golden.ts'
import { loadPackage } from '../package/load.ts'
import { TINY_SPEC, TINY_VOLUME_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { servedScores } from './served_scores.ts'

const scratch = await mkdtemp(join(tmpdir(), 'fiducial-post-files-'))
after(() => rm(scratch, { recursive: true, force: true }))

for (const [kind, spec, options] of [
  ['images, in one request,', TINY_SPEC, {}],
  ['a volume', TINY_VOLUME_SPEC, { volumes: TINY_VOLUME_SPEC }],
] as const)
  test(`the server scores ${kind} as the package does, and says what it could not read`, async () => {
    const dir = join(scratch, spec.kind)
    await writeTinyPackage(dir, options)
    const loaded = await loadPackage(dir, { threads: 1 })
    const { inputs } = await goldenInputs(spec)
    const cases = inputs.slice(0, spec.kind === 'image' ? 3 : 1).map(({ bytes }) => bytes)
    const own = await loaded.predict(cases.map((bytes, i) => ({ name: `${i}.nii.gz`, bytes })))
    assert.deepEqual(
      await servedScores(
        loaded,
        cases.map((bytes) => [bytes]),
      ),
      own.predictions.map(({ scores }) => Object.values(scores)),
    )
    const cut = cases[0]!.subarray(0, 20)
    await assert.rejects(servedScores(loaded, [[cut]]), /The server could not score a case: /)
    await loaded.close()
  })
