import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'
import { after, test } from 'node:test'
import { readVolume } from '../imaging/read_volume.ts'
import { Case } from '../schema/case.ts'
import { DataConfig } from '../schema/data.ts'
import { parseRecipe } from '../schema/parse.ts'
import { labelNames, Task } from '../schema/task.ts'
import { writeDrawnTable } from './raster_fixture.ts'
import { readSource } from './read.ts'
import { maskSources } from './registry.ts'
import { writeDecathlonLayout, writeNnUNetLayout } from './volume_layout_fixture.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-mask-sources-'))
after(() => rm(base, { recursive: true }))

interface Sample {
  write(root: string): Promise<unknown>
  source?: object
  labels: Record<string, number>
}

const cases = ['a_1', 'a_2', 'b_1', 'c_1'].map((name) => ({ name, channels: 2 }))
const hippocampus = { Anterior: 1, Posterior: 2 }
/** Readers whose files are no DICOM: a mask of that names the series that it was drawn on. */
type Kind = Exclude<keyof typeof maskSources, 'dicom'>
/** A small data set for every reader. A new reader is tested by being listed. */
const samples: Record<Kind, Sample> = {
  csv: {
    write: (root) => writeDrawnTable(root, 4),
    source: { file: 'cases.csv', image: 'image', mask: 'mask', patient: 'patient' },
    labels: { ellipse: 255 },
  },
  decathlon: {
    write: (root) => writeDecathlonLayout(root, cases),
    source: { patient: '^(\\w)_' },
    labels: hippocampus,
  },
  nnunet: {
    write: (root) => writeNnUNetLayout(root, cases),
    source: { patient: '^(\\w)_' },
    labels: hippocampus,
  },
  phantom_volumes: {
    write: async () => {},
    source: { patients: 5, voxel_mm: 6 },
    labels: { Organ: 1, Lesion: 2 },
  },
}

for (const kind of (Object.keys(maskSources) as Kind[]).filter((one: string) => one !== 'dicom')) {
  const { write, source, labels } = samples[kind]
  const task = Task.parse({ kind: 'segment', labels })
  const read = (root: string) =>
    readSource(DataConfig.parse({ root, source: { kind, ...source } }), task, root)

  test(`${kind}: cases fit their schema, with readable images and a mask below the root, and patients`, async () => {
    const root = join(base, `${kind}-cases`)
    await write(root)
    const data = await read(root)
    assert.deepEqual(data.labels, labelNames(task))
    assert.ok(data.cases.length > 0)
    for (const found of data.cases) {
      Case.parse(found)
      for (const path of [...found.images, found.mask!]) {
        assert.ok(!isAbsolute(path) && !relative(root, join(root, path)).startsWith('..'))
        assert.ok(existsSync(join(root, path)))
      }
      const images = await Promise.all(found.images.map((path) => readFile(join(root, path))))
      assert.equal((await readVolume(images)).volume.channels, data.volumes!.modalities?.length ?? 3)
      assert.deepEqual(
        found.labels,
        Object.fromEntries(labelNames(task).map((name) => [name, null])),
        'what a mask holds is known once it is read',
      )
    }
    assert.equal(new Set(data.cases.map((c) => c.case_id)).size, data.cases.length, 'case ids are distinct')
    assert.ok(new Set(data.cases.map((c) => c.patient_id)).size < data.cases.length, 'patients have several')
    for (const value of Object.values(labels)) assert.ok(data.volumes!.maskValues.has(value))
  })

  test(`${kind}: reading twice gives the same cases in the same order, wherever the folder lies`, async () => {
    const roots = [join(base, `${kind}-one`), join(base, 'deeper', `${kind}-two`)]
    const readings = []
    for (const root of roots) {
      await write(root)
      readings.push((await read(root)).cases, (await read(root)).cases)
    }
    for (const found of readings) assert.deepEqual(found, readings[0])
  })

  test(`${kind}: a recipe that names it is one of volumes, without saying so`, () => {
    const { prepare, model } = parseRecipe(
      { name: 'a', data: { root: 'a', source: { kind, ...source } }, task: { kind: 'segment', labels } },
      'a recipe of a test',
    )
    assert.deepEqual([prepare.kind, 'kind' in model && model.kind], ['volume', 'unet3d'])
  })

  // The phantom knows whether a volume holds a lesion.
  if (kind === 'phantom_volumes') continue
  test(`${kind}: a task of labels is refused, with what to write`, async () => {
    const what =
      kind === 'csv'
        ? /data\.source\.labels is missing[\s\S]*do: write labels/
        : /reads volumes with masks[\s\S]*do: write task: \{ kind: segment/
    const root = join(base, `${kind}-refused`)
    await write(root)
    const classify = Task.parse({ kind: 'classify', labels: ['x'] })
    await assert.rejects(
      readSource(DataConfig.parse({ root: base, source: { kind, ...source } }), classify, base),
      what,
    )
  })
}
