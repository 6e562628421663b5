import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { Case } from '../schema/case.ts'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { radiographData, radiographs, writeRadiographs } from './dicom_fixture.ts'
import { writeChestXray14Layout, writeFiles, writeMhistLayout } from './layout_fixture.ts'
import { readSource } from './read.ts'
import { labelSources } from './registry.ts'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-sources-'))
})
after(() => rm(base, { recursive: true }))

interface Sample {
  write(root: string): Promise<unknown>
  source?: object
  data?: object
  labels: string[]
}

/** A small data set for every reader. A new reader is tested by being listed. */
const samples: Record<keyof typeof labelSources, Sample> = {
  csv: {
    write: (root) =>
      writeFiles(root, {
        'labels.csv': 'file,patient,label\nb.png,2,normal\na.png,1,pneumonia\nc.png,2,pneumonia\n',
        'a.png': true,
        'b.png': true,
        'c.png': true,
      }),
    source: {
      file: 'labels.csv',
      image: 'file',
      patient: 'patient',
      labels: { column: 'label', negative: ['normal'] },
    },
    labels: ['pneumonia'],
  },
  folder: {
    write: (root) => writeFiles(root, { 'normal/1.png': true, 'sick/p2/3.png': true, 'sick/1.png': true }),
    source: { negative: ['normal'] },
    labels: ['sick'],
  },
  chestxray14: {
    write: (root) => writeChestXray14Layout(root, { size: 8 }),
    labels: ['Nodule', 'Effusion'],
  },
  dicom: {
    write: (root) => writeRadiographs(root, radiographs(3)),
    source: radiographData('').source,
    data: { deidentify: false },
    labels: ['nodule'],
  },
  mhist: { write: (root) => writeMhistLayout(root, { size: 8 }), labels: ['SSA'] },
  phantom: {
    write: async () => {},
    source: { patients: 6, size: 32 },
    labels: ['Cardiomegaly', 'Effusion'],
  },
  phantom_volumes: {
    write: async () => {},
    source: { patients: 4, voxel_mm: 6 },
    labels: ['lesion'],
  },
}

for (const kind of Object.keys(labelSources) as (keyof typeof labelSources)[]) {
  const { write, source, data: more, labels } = samples[kind]
  const read = (root: string) =>
    readSource(
      DataConfig.parse({ root, source: { kind, ...source }, ...more }),
      Task.parse({ kind: 'classify', labels }),
      root,
    )

  test(`${kind}: cases fit their schema, each with the task's labels in order and an image below the root`, async () => {
    const root = join(base, `${kind}-cases`)
    await write(root)
    const data = await read(root)
    assert.deepEqual(data.labels, labels)
    assert(data.cases.length > 0)
    for (const found of data.cases) {
      Case.parse(found)
      assert.deepEqual(Object.keys(found.labels), labels)
      const [image] = found.images
      assert(image !== undefined && !isAbsolute(image) && !relative(root, join(root, image)).startsWith('..'))
      assert(existsSync(join(root, image)))
    }
    assert.equal(new Set(data.cases.map((c) => c.case_id)).size, data.cases.length, 'case ids are distinct')
    assert.equal(
      data.has_given_split,
      data.cases.some((c) => c.split !== undefined),
    )
  })

  test(`${kind}: reading twice gives the same cases in the same order, wherever the folder lies`, async () => {
    const roots = [join(base, `${kind}-one`), join(base, 'deeper', `${kind}-two`)]
    const readings = []
    for (const root of roots) {
      await write(root)
      readings.push((await read(root)).cases, (await read(root)).cases)
    }
    for (const cases of readings) assert.deepEqual(cases, readings[0])
  })
}
