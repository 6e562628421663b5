import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { nestedBoxes, obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import type { Grid } from '../imaging/geometry/grid.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { preprocessMask, preprocessVolume } from '../imaging/preprocess_volume.ts'
import { readVolume } from '../imaging/read_volume.ts'
import { parseRecipe } from '../schema/parse.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import { dicomOf, identifiersOf, identity, writeBelow } from '../sources/dicom_fixture.ts'
import { SERIES_STRUCTURES, seriesFiles, writeSegmentedSeries } from '../sources/dicom_series_fixture.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import { nameOf } from './shard_set.ts'
import { readSourceMap } from './source_map.ts'
import { readShardCases } from './staging.ts'
import { prepareSmall } from './testing/small_data_set.ts'

let dir: string
let root: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-series-'))
  root = join(dir, 'archive')
})
after(() => rm(dir, { recursive: true }))

const labels = { organ: 1, lesion: 2, core: 3 }

async function writeFiles(n: number, files: readonly Uint8Array[]): Promise<void> {
  for (const [k, bytes] of files.entries()) await writeBelow(root, `${identity(n).folder}/mr/I${k}`, bytes)
}

let serial = 0
const recipe = (data: object = {}) =>
  parseRecipe(
    {
      name: 'series',
      data: { root, source: { kind: 'dicom', attributes: ['sex', 'modality'] }, max_quarantined: 1, ...data },
      prepare: { spacing_mm: [2.5, 0.75, 0.5], intensity: 'zscore' },
      task: { kind: 'segment', labels },
    },
    'a recipe of a test',
  )

test('series become volumes with the masks that were drawn on them; what is not regular is quarantined by name of its case', async () => {
  for (let n = 0; n < 4; n++) await writeSegmentedSeries(root, n)
  await writeStructureSet(4)
  await writeFiles(5, seriesFiles(5)) // nobody drew on it
  await writeSegmentedSeries(root, 6)
  await rm(join(root, identity(6).folder, 'mr/I3'))
  const set = await prepareSmall(recipe(), join(dir, 'work'))
  assert(set.index.kind === 'volumes' && set.index.has_masks)
  assert.equal(set.index.num_cases, 5)
  assert.equal(set.fingerprint.source_formats.dicom, 30)
  assert.match(set.warnings.join('\n'), /1 case without a segmentation or structure set left out/)

  const [refused] = set.result.quarantined
  assert.match(refused!.case_id, /^[a-z2-7]{16}$/)
  assert.match(refused!.reason, /Slices are missing: neighbours are 2\.50 mm apart/)

  const map = (await readSourceMap(set.dir))!
  for (const { file } of set.index.shards) {
    const row = (await readShardCases(set.dir, nameOf(file)))[0] as VolumeShardCase
    const from = map.get(row.case_id)!
    const n = [0, 1, 2, 3, 4].find((k) => from.images[0]!.includes(identity(k).folder))!
    const expected = await preprocessVolume(seriesFiles(n), set.index.preprocess)
    const { image, mask } = await readSafetensors(join(set.dir, file))
    assert.deepEqual(image!.shape, expected.shape)
    assert.deepEqual(row.affine, [...expected.affine])
    const { volume } = await readVolume(seriesFiles(n))
    const drawn = n === 4 ? drawnIn(volume) : nestedBoxes(volume)
    const twin = await preprocessMask(await writeNifti(drawn, { gzip: false }), expected)
    assert.deepEqual([...mask!.data], [...twin.mask], `mask of patient ${n}`)
    assert.deepEqual(Object.keys(row.mask_voxels!).sort(), ['1', '2', '3'])
  }
  const said = JSON.stringify([set.result, set.warnings, set.log])
  for (const one of identifiersOf(7)) assert(!said.includes(one), one)
})

test('labelled series become volumes of one size without masks, each a case under a salted id', async () => {
  const archive = join(dir, 'labelled')
  const rows = [0, 1, 2, 3].map((n) => `${identity(n).accession},${n % 2 === 0 ? 'tumour' : 'none'}\n`)
  await writeBelow(archive, 'labels.csv', Buffer.from(`accession,label\n${rows.join('')}`))
  for (const n of [0, 1, 2, 3])
    for (const [k, bytes] of seriesFiles(n).entries())
      await writeBelow(archive, `${identity(n).folder}/I${k}`, bytes)
  const labelled = parseRecipe(
    {
      name: 'labelled',
      data: {
        root: archive,
        source: {
          kind: 'dicom',
          labels: {
            ...{ file: 'labels.csv', key: 'accession', key_column: 'accession' },
            ...{ column: 'label', negative: ['none'] },
          },
        },
      },
      prepare: { spacing_mm: 'source', size: [8, 6, 9], intensity: 'zscore' },
      task: { kind: 'classify', labels: ['tumour'] },
    },
    'a recipe of a test',
  )
  const set = await prepareSmall(labelled, join(dir, 'work-labelled'))
  assert.ok(set.index.kind === 'volumes' && !set.index.has_masks)
  assert.equal(set.index.num_cases, 4)
  for (const { file } of set.index.shards) {
    const row = (await readShardCases(set.dir, nameOf(file)))[0] as VolumeShardCase
    assert.deepEqual([row.shape, row.mask_voxels], [[1, 8, 6, 9], null])
    assert.match(row.case_id, /^[a-z2-7]{16}$/)
  }
  const said = JSON.stringify([set.result, set.warnings, set.log])
  for (const one of identifiersOf(4)) assert(!said.includes(one), one)
})

/** Structure k in slice k, each drawn as a contour around the centres of columns 0 to 3. */
async function writeStructureSet(n: number): Promise<void> {
  await writeFiles(n, seriesFiles(n))
  const { slices } = obliqueSeries().plan
  const corners = [
    [-0.4, -0.4],
    [-0.4, 3.4],
    [6.4, 3.4],
    [6.4, -0.4],
  ] as const
  const pointsIn = (z: number) => {
    const { position, orientation, spacing } = slices[z]!.place
    return corners.flatMap(([y, x]) =>
      [0, 1, 2].map(
        (k) => position[k]! + y * spacing[0] * orientation[k + 3]! + x * spacing[1] * orientation[k]!,
      ),
    )
  }
  const bytes = dicomOf(n, {
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.481.3',
    SOPInstanceUID: `1.2.826.0.1.3680043.82.${++serial}`,
    SeriesInstanceUID: `1.2.826.0.1.3680043.81.${serial}`,
    Modality: 'RTSTRUCT',
    ReferencedFrameOfReferenceSequence: [
      {
        FrameOfReferenceUID: '1.2.3.9',
        RTReferencedStudySequence: [
          {
            ReferencedSOPInstanceUID: identity(n).study,
            RTReferencedSeriesSequence: [{ SeriesInstanceUID: identity(n).series }],
          },
        ],
      },
    ],
    StructureSetROISequence: SERIES_STRUCTURES.map(({ name }, i) => ({
      ROINumber: 9 + i,
      ROIName: name,
      ReferencedFrameOfReferenceUID: '1.2.3.9',
    })),
    ROIContourSequence: SERIES_STRUCTURES.map(({ values: [z] }, i) => ({
      ReferencedROINumber: 9 + i,
      ContourSequence: [
        { ContourGeometricType: 'CLOSED_PLANAR', NumberOfContourPoints: 4, ContourData: pointsIn(z!) },
      ],
    })),
  })
  await writeBelow(root, `${identity(n).folder}/rt`, bytes)
}

/** What these contours enclose. */
function drawnIn({ shape, affine }: Grid) {
  const [depth, height, width] = shape
  const data = new Uint8Array(depth * height * width)
  for (const z of [1, 2, 3])
    for (let y = 0; y < height; y++) {
      const row = (z * height + y) * width
      data.fill(z, row, row + 4)
    }
  return { data, channels: 1, shape, affine }
}
