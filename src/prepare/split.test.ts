import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomSource } from '../imaging/testing/samples.ts'
import { SPLIT_PARTS, type SplitPart } from '../schema/case.ts'
import type { Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { assignSplit, type SplitCase } from './split.ts'

const LABELS = { hernia: 0.01, nodule: 0.08, effusion: 0.25, any: 0.5 }

/** Patients of 1 to 20 images, findings of 1 % to 50 %. */
function patients(count: number, seed = 1): SplitCase[] {
  const next = randomSource(seed)
  const draw = () => next() / 2 ** 32
  return Array.from({ length: count }, (_, p) => {
    const images = 1 + Math.floor(20 * draw() ** 4)
    return Array.from({ length: images }, (_, i) => ({
      case_id: `p${p}/${i}`,
      patient_id: `p${p}`,
      labels: Object.fromEntries(
        Object.entries(LABELS).map(([label, share]) => [
          label,
          draw() < share ? 1 : draw() < 0.02 ? null : 0,
        ]),
      ) as SplitCase['labels'],
    }))
  }).flat()
}

const rule = (val: number, test: number, seed = 0): Split => ({ val, test, seed })

function partsOfPatients(cases: readonly SplitCase[], parts: readonly (SplitPart | null)[]) {
  const found = new Map<string, Set<SplitPart | null>>()
  for (const [i, { patient_id }] of cases.entries())
    found.set(patient_id, (found.get(patient_id) ?? new Set()).add(parts[i]!))
  return found
}

const few = patients(40)
const many = patients(1500)

for (const [name, cases] of [
  ['40', few],
  ['1500', many],
] as const)
  for (const split of [rule(0.15, 0.2), rule(0.5, 0), rule(0, 0.3), { folds: 5, fold: 2, seed: 3 }])
    test(`no patient of ${name} is in two parts with ${JSON.stringify(split)}`, () => {
      const { parts } = assignSplit(cases, split)
      for (const [patient, found] of partsOfPatients(cases, parts)) assert.equal(found.size, 1, patient)
    })

test('each part has the share of patients that was asked for', () => {
  const { parts } = assignSplit(many, rule(0.15, 0.2))
  const counts = { train: 0, val: 0, test: 0 }
  for (const [part] of partsOfPatients(many, parts).values()) counts[part!]++
  assert.deepEqual(counts, { train: 975, val: 225, test: 300 })
})

test('findings are spread over the parts in proportion, the rarest included', () => {
  const { parts } = assignSplit(many, rule(0.15, 0.2))
  for (const label of Object.keys(LABELS)) {
    const positive = (part: SplitPart | 'all') =>
      new Set(
        many
          .filter((c, i) => c.labels[label] === 1 && (part === 'all' || parts[i] === part))
          .map((c) => c.patient_id),
      ).size
    const expected = { train: 0.65, val: 0.15, test: 0.2 }
    for (const part of SPLIT_PARTS) {
      const wanted = expected[part] * positive('all')
      assert.ok(
        Math.abs(positive(part) - wanted) <= Math.max(1, 0.1 * wanted),
        `${label} in ${part}: ${positive(part)} patients, ${wanted.toFixed(1)} wanted`,
      )
    }
  }
})

test('patients of many images are spread over the parts too', () => {
  const { parts } = assignSplit(many, rule(0.15, 0.2))
  const share = parts.filter((part) => part === 'test').length / many.length
  assert.ok(share > 0.17 && share < 0.23, `${share} of the images are in test, 0.2 of the patients`)
})

test('a finding of as many patients as parts reaches each of them, and sizes stay exact', () => {
  const single = Array.from(
    { length: 60 },
    (_, p): SplitCase => ({
      case_id: `c${p}`,
      patient_id: `p${p}`,
      labels: { common: (p % 2) as 0 | 1, rare: 0 },
    }),
  )
  for (const [name, cases] of [
    ['one image each', single],
    ['up to 20 images', patients(60).map((one) => ({ ...one, labels: { ...one.labels, rare: 0 } }))],
  ] as [string, SplitCase[]][])
    for (const positive of [
      ['p3', 'p17', 'p44'],
      ['p3', 'p17', 'p44', 'p50'],
      ['p1', 'p3', 'p17', 'p44', 'p50'],
    ])
      for (let seed = 0; seed < 20; seed++) {
        const marked = cases.map((one) => ({
          ...one,
          labels: { ...one.labels, rare: positive.includes(one.patient_id) ? (1 as const) : (0 as const) },
        }))
        const { parts } = assignSplit(marked, rule(0.15, 0.2, seed))
        const found = new Set(marked.flatMap((one, i) => (one.labels.rare === 1 ? [parts[i]] : [])))
        assert.equal(found.size, 3, `${name}, ${positive.length} patients, seed ${seed}: ${[...found]}`)
        const counts = { train: 0, val: 0, test: 0 }
        for (const [part] of partsOfPatients(marked, parts).values()) counts[part!]++
        assert.deepEqual(counts, { train: 39, val: 9, test: 12 })
      }
})

test('the split is the same each time, whatever the order of the cases', () => {
  const byId = (cases: readonly SplitCase[]) => {
    const { parts } = assignSplit(cases, rule(0.15, 0.2, 7))
    return Object.fromEntries(cases.map((one, i) => [one.case_id, parts[i]]))
  }
  const next = randomSource(5)
  const shuffled = few
    .map((one) => ({ one, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ one }) => one)
  assert.deepEqual(byId(shuffled), byId(few))
  assert.deepEqual(byId(few.toReversed()), byId(few))
})

test('another seed gives another split', () => {
  const parts = (seed: number) => assignSplit(few, rule(0.15, 0.2, seed)).parts
  assert.notDeepEqual(parts(0), parts(1))
})

test('each patient is validated in exactly one fold, and folds are even', () => {
  const times = new Map<string, number>()
  const sizes = []
  for (let fold = 0; fold < 5; fold++) {
    const { parts, folds } = assignSplit(few, { folds: 5, fold, seed: 0 })
    assert.ok(folds)
    const held = new Set(few.filter((_, i) => parts[i] === 'val').map((one) => one.patient_id))
    for (const patient of held) times.set(patient, (times.get(patient) ?? 0) + 1)
    sizes.push(held.size)
    assert.ok(!parts.includes('test'))
  }
  assert.equal(times.size, 40)
  assert.ok([...times.values()].every((n) => n === 1))
  assert.deepEqual(sizes, [8, 8, 8, 8, 8])
})

test('cases found to be the same image stay together with all images of their patients', () => {
  const [a, b] = [few.findIndex((c) => c.patient_id === 'p5'), few.findIndex((c) => c.patient_id === 'p31')]
  for (let seed = 0; seed < 10; seed++) {
    const { parts } = assignSplit(few, rule(0.3, 0.3, seed), { together: [[a, b]] })
    const found = new Set(few.flatMap((c, i) => (['p5', 'p31'].includes(c.patient_id) ? [parts[i]] : [])))
    assert.equal(found.size, 1)
  }
})

test('patients that an earlier split placed stay there, and new ones fill what is lacking', () => {
  const before = assignSplit(few, rule(0.2, 0.2))
  const kept = new Map(few.map((one, i) => [one.patient_id, before.parts[i]!]))
  const grown = [...patients(80).map((one) => ({ ...one, patient_id: `new-${one.patient_id}` })), ...few]
  const { parts } = assignSplit(grown, rule(0.2, 0.2), { kept })
  for (const [i, one] of grown.entries())
    if (kept.has(one.patient_id)) assert.equal(parts[i], kept.get(one.patient_id))
  const counts = { train: 0, val: 0, test: 0 }
  for (const [part] of partsOfPatients(grown, parts).values()) counts[part!]++
  assert.deepEqual(counts, { train: 72, val: 24, test: 24 })
})

test('patients keep their fold', () => {
  const split: Split = { folds: 4, fold: 1, seed: 0 }
  const { folds } = assignSplit(few, split)
  const kept = new Map(few.map((one, i) => [one.patient_id, folds![i]!]))
  const grown = [...few, { case_id: 'n', patient_id: 'new', labels: { any: 1 as const } }]
  assert.deepEqual(assignSplit(grown, { ...split, fold: 3 }, { kept }).folds!.slice(0, few.length), folds)
})

const given = (parts: (SplitPart | null)[]): SplitCase[] =>
  parts.map((split, i) => ({
    case_id: `c${i}`,
    patient_id: `p${i}`,
    labels: { any: (i % 2) as 0 | 1 },
    ...(split === null ? {} : { split }),
  }))

test('a given split is taken as it is', () => {
  const parts: SplitPart[] = ['train', 'val', 'test', 'train', 'val', 'test']
  assert.deepEqual(assignSplit(given(parts), { column: 'part', val: 0.5, seed: 0 }).parts, parts)
})

test('validation is drawn from the training patients where the given split has none', () => {
  const cases = given([...Array<SplitPart>(20).fill('train'), ...Array<SplitPart>(10).fill('test')])
  const { parts, kind } = assignSplit(cases, { official: true, val: 0.25, seed: 0 })
  assert.equal(kind, 'official')
  assert.equal(parts.filter((part) => part === 'val').length, 5)
  assert.deepEqual(parts.slice(20), Array(10).fill('test'))
})

test('cases without a given part are left out, and counted', () => {
  const { parts, warnings } = assignSplit(given(['train', null, 'val', 'train', 'val', null]), {
    column: 'part',
    val: 0,
    seed: 0,
  })
  assert.deepEqual(parts, ['train', null, 'val', 'train', 'val', null])
  assert.ok(warnings.some((w) => w.startsWith('2 of 6 cases have no part')))
})

const refusals: [string, readonly SplitCase[], Split, RegExp][] = [
  ['two patients for three parts', given([null, null]), rule(0.3, 0.3), /2 patients cannot fill 3 parts/],
  [
    'three patients for five folds',
    given([null, null, null]),
    { folds: 5, fold: 0, seed: 0 },
    /3 patients cannot fill 5 parts/,
  ],
  ['a fold that there is not', few, { folds: 5, fold: 5, seed: 0 }, /fold is 5; with 5 folds it is 0 to 4/],
  ['nothing left to train on', few, rule(0.5, 0.5), /leave nothing to train on/],
  ['a given split without any part', given([null]), { column: 'part', val: 0, seed: 0 }, /no case has one/],
]
for (const [what, cases, split, message] of refusals)
  test(`${what}: refused`, () => {
    assert.throws(
      () => assignSplit(cases, split),
      (e) => e instanceof UserError && message.test(e.message),
    )
  })

test('as many patients as parts give each part one', () => {
  const { parts } = assignSplit(given([null, null, null]), rule(0.01, 0.01))
  assert.deepEqual(new Set(parts), new Set(SPLIT_PARTS))
})

test('an empty part, and a part with one class only, are said with counts', () => {
  const cases = given(['train', 'train', 'train', 'test', 'test'])
  for (const one of cases) if (one.split === 'test') one.labels = { any: 0 }
  const { warnings } = assignSplit(cases, { column: 'part', val: 0, seed: 0 })
  assert.ok(warnings.some((w) => w.startsWith('The val split is empty')))
  assert.ok(warnings.some((w) => w.startsWith('The test split has 0 positive and 2 negative cases of "any"')))
})
