import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { CHESTXRAY14_LABELS } from './chestxray14.ts'
import { writeFiles } from './layout_fixture.ts'
import { readSource } from './read.ts'

const shared = resolve(import.meta.dirname, '../../../shared/data')
const withData = (name: string) => ({
  skip: existsSync(join(shared, name)) ? false : `../shared/data/${name} is absent`,
})
let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-csv-'))
})
after(() => rm(base, { recursive: true }))

interface Reading {
  csv: string
  images?: string[]
  source?: object
  labels?: string[]
  exclusive?: boolean
  split?: object
}

/** Reads labels.csv beside images that exist. */
async function read({
  csv,
  images = [],
  source = {},
  labels = ['pneumonia'],
  exclusive = false,
  split,
}: Reading) {
  const root = join(base, String(serial++))
  await writeFiles(root, { 'labels.csv': csv, ...Object.fromEntries(images.map((image) => [image, true])) })
  const data = DataConfig.parse({
    root,
    source: {
      kind: 'csv',
      file: 'labels.csv',
      image: 'file',
      patient: 'patient',
      labels: { column: 'label', negative: ['normal'] },
      ...source,
    },
    ...(split ? { split } : {}),
  })
  return readSource(data, Task.parse({ kind: 'classify', labels, exclusive }), root)
}

const TWO = 'file,patient,label\na.png,p1,normal\nb.png,p2,pneumonia\n'

test('a row an image becomes a case, in the order of the rows', async () => {
  const { cases, labels, skipped, warnings, synthetic } = await read({
    csv: 'file,patient,label\nz.png,p1,normal\na.png,p2,pneumonia\n',
    images: ['a.png', 'z.png'],
  })
  assert.deepEqual(cases, [
    { case_id: 'z', patient_id: 'p1', images: ['z.png'], labels: { pneumonia: 0 }, attributes: {} },
    { case_id: 'a', patient_id: 'p2', images: ['a.png'], labels: { pneumonia: 1 }, attributes: {} },
  ])
  assert.deepEqual(
    { labels, skipped, warnings, synthetic },
    { labels: ['pneumonia'], skipped: [], warnings: [], synthetic: false },
  )
})

test('several labels in a cell are split; a negative beside them adds nothing; an unknown masks the rest', async () => {
  const { cases } = await read({
    csv: 'file,patient,label\na.png,1,Mass|Effusion\nb.png,2,No Finding\nc.png,3,Mass | ?\nd.png,4,\ne.png,5,Effusion\n',
    images: ['a.png', 'b.png', 'c.png', 'd.png', 'e.png'],
    source: { labels: { column: 'label', separator: '|', negative: ['No Finding'], unknown: ['?', ''] } },
    labels: ['Effusion', 'Mass'],
  })
  assert.deepEqual(
    cases.map((c) => [c.labels.Effusion, c.labels.Mass]),
    [
      [1, 1],
      [0, 0],
      [null, 1],
      [null, null],
      [1, 0],
    ],
  )
})

test('values are mapped to label names', async () => {
  const { cases } = await read({
    csv: 'file,patient,label\na.png,1,PNA\nb.png,2,normal\n',
    images: ['a.png', 'b.png'],
    source: { labels: { column: 'label', negative: ['normal'], map: { PNA: 'pneumonia' } } },
  })
  assert.deepEqual(
    cases.map((c) => c.labels.pneumonia),
    [1, 0],
  )
})

test('a map to a label that the task lacks is an error', async () => {
  await assert.rejects(
    read({ csv: TWO, source: { labels: { column: 'label', map: { normal: 'pneumona' } } } }),
    /mapped to "pneumona", which is not in task.labels \(pneumonia\); did you mean "pneumonia"/,
  )
})

test('0/1 columns are labels; 1.0, true and masked values are understood', async () => {
  const { cases } = await read({
    csv: 'file,patient,pn,ef\na.png,1,1,0.0\nb.png,2,0,-1.0\nc.png,3,True,\nd.png,4,false,1.0\n',
    images: ['a.png', 'b.png', 'c.png', 'd.png'],
    source: { labels: { columns: { pneumonia: 'pn', effusion: 'ef' }, unknown: ['', '-1'] } },
    labels: ['pneumonia', 'effusion'],
  })
  assert.deepEqual(
    cases.map((c) => [c.labels.pneumonia, c.labels.effusion]),
    [
      [1, 0],
      [0, null],
      [1, null],
      [0, 1],
    ],
  )
})

test('a value in a 0/1 column that is neither is an error with counts and what to write', async () => {
  await assert.rejects(
    read({
      csv: 'file,patient,pn\na.png,1,1\nb.png,2,-1\nc.png,3,\nd.png,4,-1\n',
      source: { labels: { columns: { pneumonia: 'pn' } } },
    }),
    (error: Error) => {
      assert.match(error.message, /column "pn": "-1" {2}2 rows\n {4}column "pn": \(empty\) {2}1 row/)
      assert.match(error.message, /unknown: \["-1",""\]/)
      return true
    },
  )
})

test('unmapped values are listed with their counts, the most frequent first, and what to write', async () => {
  await assert.rejects(
    read({ csv: 'file,patient,label\na.png,1,virus\nb.png,2,Pneumonia\nc.png,3,virus\nd.png,4,\n' }),
    (error: Error) => {
      assert.equal(error.name, 'UserError')
      assert.match(error.message, /3 values of column "label"[\s\S]*"virus" {2}2 rows\n/)
      assert.match(
        error.message,
        /"Pneumonia" {2}1 row; if it means "pneumonia": map: \{ "Pneumonia": "pneumonia" \}/,
      )
      assert.match(error.message, /\(empty\) {2}1 row/)
      assert.match(error.message, /certainly none of the labels/)
      return true
    },
  )
})

test('a value near one that is declared negative is compared with that, and a long one is cut', async () => {
  const csv = `file,patient,label\na.png,1,norml\nb.png,2,pneumonia\nc.png,3,${'x'.repeat(1e6)}\n`
  await assert.rejects(read({ csv }), (error: Error) => {
    assert.match(error.message, /"norml" {2}1 row; did "normal" mean the same/)
    assert.doesNotMatch(error.message, /negative: \[/)
    assert.ok(error.message.length < 1500)
    return true
  })
})

test('several labels in a cell without a separator in the recipe are recognised', async () => {
  await assert.rejects(
    read({ csv: 'file,patient,label\na.png,1,x|y\nb.png,2,y|z\n', labels: ['x', 'y', 'z'] }),
    /data\.source\.labels\.separator: '\|'/,
  )
})

test('classes that exclude each other are one-hot', async () => {
  const { cases } = await read({
    csv: 'file,patient,label\na.png,1,x\nb.png,2,y\nc.png,3,?\n',
    images: ['a.png', 'b.png', 'c.png'],
    source: { labels: { column: 'label', unknown: ['?'] } },
    labels: ['x', 'y'],
    exclusive: true,
  })
  assert.deepEqual(
    cases.map((c) => c.labels),
    [
      { x: 1, y: 0 },
      { x: 0, y: 1 },
      { x: null, y: null },
    ],
  )
})

test('a case with no class, or two, is an error when classes exclude each other', async () => {
  await assert.rejects(
    read({
      csv: 'file,patient,x,y\na.png,1,1,1\nb.png,2,0,0\nc.png,3,1,0\n',
      images: ['a.png', 'b.png', 'c.png'],
      source: { labels: { columns: { x: 'x', y: 'y' } } },
      labels: ['x', 'y'],
      exclusive: true,
    }),
    /exactly one label a case; 1 case has none and 1 several, e\.g\. a \(x \+ y\), b \(none\)/,
  )
})

test('an image without an extension is found by its stem, below images_dir', async () => {
  const { cases } = await read({
    csv: 'file,patient,label\n1.2.3,p1,normal\nscan,p2,pneumonia\n',
    images: ['pictures/1.2.3.png', 'pictures/scan.jpeg'],
    source: { images_dir: 'pictures' },
  })
  assert.deepEqual(
    cases.map((c) => [c.case_id, c.images[0]]),
    [
      ['pictures/1.2.3', 'pictures/1.2.3.png'],
      ['pictures/scan', 'pictures/scan.jpeg'],
    ],
  )
})

test('a stem that two files match is skipped, naming both', async () => {
  const { skipped } = await read({ csv: TWO.replace('a.png', 'a'), images: ['a.png', 'a.jpg', 'b.png'] })
  assert.match(skipped[0]!.reason, /Several files match: a\.jpg, a\.png/)
})

test('images_dir with * looks in several folders; an image in two of them is skipped', async () => {
  const { cases, skipped } = await read({
    csv: 'file,patient,label\na,1,normal\nb,2,pneumonia\nc,3,normal\n',
    images: ['part_1/x/a.png', 'part_2/x/b.png', 'part_1/x/c.png', 'part_2/x/c.png', 'other/x/a.png'],
    source: { images_dir: 'part_*/x' },
  })
  assert.deepEqual(
    cases.map((c) => c.case_id),
    ['part_1/x/a', 'part_2/x/b'],
  )
  assert.match(skipped[0]!.reason, /several folders: part_1\/x\/c\.png, part_2\/x\/c\.png/)
  await assert.rejects(read({ csv: TWO, source: { images_dir: 'img*' } }), /no folder matches img\*/)
})

test('names in another Unicode form and with backslashes are found', async () => {
  const { cases } = await read({
    csv: 'file,patient,label\nMu\u0308ller.png,1,normal\nsub\\b.png,2,pneumonia\n',
    images: ['M\u00fcller.png', 'sub/b.png'],
  })
  assert.deepEqual(
    cases.map((c) => c.images[0]),
    ['M\u00fcller.png', 'sub/b.png'],
  )
})

test('missing image files are skipped and listed, not fatal', async () => {
  const { cases, skipped } = await read({
    csv: 'file,patient,label\na.png,1,normal\ngone.png,2,pneumonia\nb.png,3,pneumonia\n,4,normal\n',
    images: ['a.png', 'b.png', 'GONE.png'],
  })
  assert.equal(cases.length, 2)
  assert.deepEqual(
    skipped.map((s) => s.file),
    ['gone.png', 'labels.csv:5'],
  )
  assert.match(skipped[0]!.reason, /no such file.*holds "GONE\.png": case differs/)
  assert.match(skipped[1]!.reason, /empty on line 5/)
})

test('when no image is there the folder searched is named', async () => {
  await assert.rejects(
    read({ csv: TWO, images: ['images/a.png'] }),
    /None of the 2 images[\s\S]*do: set data.root or data.source.images_dir/,
  )
})

for (const path of ['../../etc/passwd', 'images/../../x.png', '/etc/passwd', '..'])
  test(`the path ${path} is refused: images stay below data.root`, async () => {
    await assert.rejects(read({ csv: TWO.replace('a.png', path), images: ['b.png'] }), {
      name: 'UserError',
      message: /1 row of labels\.csv names an image outside of data\.root, which is refused[\s\S]*line 2/,
    })
  })

test('a path that leaves images_dir but not the root is allowed, and so is an absolute one below the root', async () => {
  const root = join(base, String(serial))
  const { cases } = await read({
    csv: `file,patient,label\n../other/a.png,1,normal\n${root}/b.png,2,pneumonia\n`,
    images: ['other/a.png', 'b.png', 'images/c.png'],
    source: { images_dir: 'images' },
  })
  assert.deepEqual(
    cases.map((c) => c.images[0]),
    ['other/a.png', 'b.png'],
  )
})

test('a NUL in a table is refused with its line', async () => {
  await assert.rejects(read({ csv: TWO.replace('a.png', 'a\0.png') }), /has a NUL byte on line 2,/)
})

test('hostile file names survive', async () => {
  const names = ['-rf.png', 'new\nline.png', ' $(id);\u202egnp.png', '__proto__.png', 'a"b.png', '☠ é.png']
  const quoted = names.map((name) => `"${name.replaceAll('"', '""')}"`)
  const { cases, skipped } = await read({
    csv: `file,patient,label\n${quoted.map((name, i) => `${name},p${i},${i % 2 ? 'normal' : 'pneumonia'}`).join('\n')}\n`,
    images: names,
  })
  assert.deepEqual(skipped, [])
  assert.deepEqual(
    cases.map((c) => c.images[0]),
    names,
  )
})

test('the same image in several rows that agree is merged with a warning', async () => {
  const { cases, warnings } = await read({
    csv: `${TWO}a.png,p1,normal\n./a.png,p1,normal\n`,
    images: ['a.png', 'b.png'],
  })
  assert.equal(cases.length, 2)
  assert.match(warnings.join(), /2 rows of labels\.csv repeat an earlier row and are merged/)
})

test('the same image in rows that contradict each other is an error that names the lines', async () => {
  await assert.rejects(
    read({ csv: `${TWO}a.png,p1,pneumonia\nb.png,p9,pneumonia\n`, images: ['a.png', 'b.png'] }),
    /2 cases twice with different contents:\n {4}lines 2 and 4: a\.png \(labels differ\)\n {4}lines 3 and 5: b\.png \(patient_id differ\)/,
  )
})

test('a case id given to two images is an error', async () => {
  await assert.rejects(
    read({
      csv: 'file,patient,label,id\na.png,1,normal,7\nb.png,2,pneumonia,7\n',
      images: ['a.png', 'b.png'],
      source: { case_id: 'id' },
    }),
    /lines 2 and 3: case id 7 \(images, patient_id, labels differ\)/,
  )
})

test('images that differ in the extension alone stay apart', async () => {
  const { cases, warnings } = await read({
    csv: 'file,patient,label\na.png,1,normal\na.jpg,2,pneumonia\n',
    images: ['a.png', 'a.jpg'],
  })
  assert.deepEqual(
    cases.map((c) => c.case_id),
    ['a.png', 'a.jpg'],
  )
  assert.match(warnings.join(), /extension alone/)
})

test('an absent patient column is an error; none named is a warning', async () => {
  await assert.rejects(
    read({ csv: TWO, images: ['a.png'], source: { patient: 'patiant' } }),
    /no column "patiant"; did you mean "patient"/,
  )
  const { cases, warnings } = await read({ csv: TWO, images: ['a.png', 'b.png'], source: { patient: null } })
  assert.deepEqual(
    cases.map((c) => c.patient_id),
    ['a', 'b'],
  )
  assert.match(warnings.join(), /every image is its own patient.*Columns: file, patient, label/)
})

test('a pattern on a column finds the patient in it', async () => {
  const { cases } = await read({
    csv: 'file,label\npatient7/a.png,normal\npatient8/b.png,pneumonia\n',
    images: ['patient7/a.png', 'patient8/b.png'],
    source: { patient: { column: 'file', pattern: '(patient\\d+)/' } },
  })
  assert.deepEqual(
    cases.map((c) => c.patient_id),
    ['patient7', 'patient8'],
  )
})

test('empty patient cells count as patients of their own, with a warning', async () => {
  const { cases, warnings } = await read({
    csv: 'file,patient,label\na.png,,normal\nb.png,p2,pneumonia\n',
    images: ['a.png', 'b.png'],
  })
  assert.equal(cases[0]!.patient_id, 'a')
  assert.match(warnings.join(), /1 row of labels\.csv has no patient id in column "patient".*lines 2/)
})

test('a label with one class only is a warning that says what cannot be done', async () => {
  const { warnings } = await read({
    csv: 'file,patient,label\na.png,1,normal\nb.png,2,normal\n',
    images: ['a.png', 'b.png'],
  })
  assert.match(
    warnings.join(),
    /"pneumonia" has no positive case \(0 positive, 2 negative, 0 unknown\): nothing can be learnt/,
  )
})

test('a split column gives the parts', async () => {
  const { cases, has_given_split, warnings } = await read({
    csv: 'file,patient,label,part\na.png,1,normal,Train\nb.png,2,pneumonia,valid\nc.png,3,normal,test\nd.png,4,normal,\n',
    images: ['a.png', 'b.png', 'c.png', 'd.png'],
    split: { column: 'part' },
  })
  assert.deepEqual(
    cases.map((c) => c.split),
    ['train', 'val', 'test', undefined],
  )
  assert.equal(has_given_split, true)
  assert.match(warnings.join(), /1 row of labels\.csv has no part/)
})

test('other values in a split column are an error with counts', async () => {
  await assert.rejects(
    read({ csv: TWO, split: { column: 'label' } }),
    /must hold train, val \(valid, validation\) or test; found normal \(1 row\), pneumonia \(1 row\)/,
  )
})

test('an official split of a table is an error that says how a table names its split', async () => {
  await assert.rejects(
    read({ csv: TWO, images: ['a.png', 'b.png'], split: { official: true } }),
    /data\.split: \{ column: … \}/,
  )
})

test('attributes are numbers where the whole column is, and null where empty', async () => {
  const { cases } = await read({
    csv: 'file,patient,label,age,code\na.png,1,normal,61,007\nb.png,2,pneumonia,,012\n',
    images: ['a.png', 'b.png'],
    source: { attributes: ['age', 'code'] },
  })
  assert.deepEqual(
    cases.map((c) => c.attributes),
    [
      { age: 61, code: '007' },
      { age: null, code: '012' },
    ],
  )
})

test('a missing table and a root that is a file are errors', async () => {
  await assert.rejects(
    read({ csv: TWO, source: { file: 'other.csv' } }),
    /No such file or folder[\s\S]*other\.csv/,
  )
  const data = DataConfig.parse({ root: '.', source: { kind: 'folder' } })
  await assert.rejects(
    readSource(data, Task.parse({ kind: 'classify', labels: ['x'] }), import.meta.filename),
    /data\.root is a file/,
  )
})

test(
  'chest-kermany reads as 600 cases of 481 patients, half with pneumonia',
  withData('chest-kermany'),
  async () => {
    const root = join(shared, 'chest-kermany')
    const source = {
      kind: 'csv',
      file: 'labels.csv',
      image: 'file',
      patient: 'patient_id',
      labels: { column: 'label', negative: ['normal'] },
      attributes: ['subtype'],
    }
    const { cases, skipped } = await readSource(
      DataConfig.parse({ root, source }),
      Task.parse({ kind: 'classify', labels: ['pneumonia'] }),
      root,
    )
    assert.equal(cases.length, 600)
    assert.equal(new Set(cases.map((c) => c.patient_id)).size, 481)
    assert.equal(cases.filter((c) => c.labels.pneumonia === 1).length, 300)
    assert.deepEqual(skipped, [])
  },
)

test('chest-nih64 reads with 14 labels and its own split', withData('chest-nih64'), async () => {
  const root = join(shared, 'chest-nih64')
  const source = {
    kind: 'csv',
    file: 'labels.csv',
    image: 'file',
    patient: 'patient_id',
    labels: { column: 'findings', separator: '|', negative: ['No Finding'] },
    attributes: ['age', 'sex', 'view'],
  }
  const { cases } = await readSource(
    DataConfig.parse({ root, source, split: { column: 'source_split' } }),
    Task.parse({ kind: 'classify', labels: [...CHESTXRAY14_LABELS] }),
    root,
  )
  const parts = (['train', 'val', 'test'] as const).map(
    (part) => cases.filter((c) => c.split === part).length,
  )
  assert.deepEqual(parts, [600, 200, 200])
  assert.equal(cases.filter((c) => c.labels.Effusion === 1).length, 170)
  assert.equal(cases.filter((c) => CHESTXRAY14_LABELS.every((label) => c.labels[label] === 0)).length, 499)
})
