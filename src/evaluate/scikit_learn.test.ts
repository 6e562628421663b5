import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Prediction } from '../schema/prediction.ts'
import { evaluatePredictions } from './evaluate.ts'
import { madePredictions, optionsFor, seededNumbers } from './predictions_fixture.ts'
import { emptyRankMetrics, measureRanking, rank } from './ranking.ts'
import { precisionRecallPoints, rocPoints } from './roc.ts'

const PYTHON = join(import.meta.dirname, '../../.venv/bin/python')
const skip = existsSync(PYTHON) ? false : 'no Python environment: run "npm run setup"'
const TOLERANCE = 1e-9

const SCRIPT = `
import json, sys
from sklearn import metrics as m
cases = json.load(sys.stdin)
out = {"binary": [], "multiclass": []}
for c in cases["binary"]:
    y, s, t, w = c["truth"], c["scores"], c["threshold"], c.get("weight")
    d = [int(v >= t) for v in s]
    fpr, tpr, _ = m.roc_curve(y, s, drop_intermediate=False)
    precision, recall, _ = m.precision_recall_curve(y, s)
    tn, fp, fn, tp = m.confusion_matrix(y, d, labels=[0, 1]).ravel().tolist()
    out["binary"].append({
        "auroc": m.roc_auc_score(y, s, sample_weight=w),
        "average_precision": m.average_precision_score(y, s, sample_weight=w),
        "sensitivity": m.recall_score(y, d), "specificity": m.recall_score(y, d, pos_label=0),
        "precision": m.precision_score(y, d, zero_division=0), "f1": m.f1_score(y, d),
        "balanced_accuracy": m.balanced_accuracy_score(y, d), "accuracy": m.accuracy_score(y, d),
        "confusion": {"tp": tp, "fp": fp, "tn": tn, "fn": fn},
        "roc": [fpr.tolist(), tpr.tolist()], "pr": [recall[::-1].tolist(), precision[::-1].tolist()]})
for c in cases["multiclass"]:
    y, s = c["truth"], c["scores"]
    d = [max(range(len(r)), key=lambda k: (r[k], -k)) for r in s]
    k = len(s[0])
    out["multiclass"].append({
        "accuracy": m.accuracy_score(y, d), "balanced_accuracy": m.balanced_accuracy_score(y, d),
        "f1_mean": m.f1_score(y, d, average="macro"), "confusion": m.confusion_matrix(y, d, labels=range(k)).tolist(),
        "auroc_mean": m.roc_auc_score([[int(v == j) for j in range(k)] for v in y], s, average="macro"),
        "auroc": [m.roc_auc_score([int(v == j) for v in y], [r[j] for r in s]) for j in range(k)]})
json.dump(out, sys.stdout)
`

interface Reference {
  binary: (Record<string, number> & {
    confusion: Record<string, number>
    roc: [number[], number[]]
    pr: [number[], number[]]
  })[]
  multiclass: {
    accuracy: number
    balanced_accuracy: number
    f1_mean: number
    auroc_mean: number
    auroc: number[]
    confusion: number[][]
  }[]
}

function scikitLearn(input: unknown): Reference {
  const { stdout, stderr, status } = spawnSync(PYTHON, ['-c', SCRIPT], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1', PYTHONWARNINGS: 'ignore' },
    maxBuffer: 1 << 26,
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Reference
}

const near = (found: number | null, expected: number, what: string) =>
  assert.ok(found !== null && Math.abs(found - expected) <= TOLERANCE, `${what}: ${found}, not ${expected}`)

/** Every point of the thin curve lies on the full one, which may hold it several times. */
const within = (points: [number, number][], [xs, ys]: [number[], number[]], what: string) => {
  const full = new Set(xs.map((x, i) => `${x.toFixed(9)} ${ys[i]!.toFixed(9)}`))
  for (const [x, y] of points) assert.ok(full.has(`${x.toFixed(9)} ${y.toFixed(9)}`), `${what}: ${x}, ${y}`)
}

test('metrics, curves and counts equal scikit-learn to 1e-9, with and without ties', { skip }, () => {
  const shapes = [
    { cases: 12, prevalence: 0.5 },
    { cases: 60, prevalence: 0.2, ties: 4 },
    { cases: 500, prevalence: 0.05, signal: 0.3 },
    { cases: 500, prevalence: 0.4, ties: 20, signal: 3 },
    { cases: 3000, prevalence: 0.3, ties: 200 },
    { cases: 100, prevalence: 0.9, signal: -1 },
  ]
  const made = shapes.map((shape, seed) =>
    madePredictions({ patients: shape.cases, labels: ['nodule'], seed: seed + 20, ...shape }),
  )
  const evaluations = made.map((predictions) =>
    evaluatePredictions(predictions, optionsFor(['nodule'], { bootstrap: 100 })),
  )
  const binary = made.map((predictions, i) => ({
    truth: predictions.map((p) => p.labels.nodule),
    scores: predictions.map((p) => p.scores.nodule),
    threshold: evaluations[i]!.operating_points.nodule!.threshold,
  }))
  const reference = scikitLearn({ binary, multiclass: [] }).binary
  for (const [i, evaluation] of evaluations.entries()) {
    const label = evaluation.per_label.nodule!
    const expected = reference[i]!
    const names = ['auroc', 'average_precision', 'sensitivity', 'specificity', 'precision', 'f1'] as const
    for (const name of [...names, 'balanced_accuracy', 'accuracy'] as const) {
      near(label[name].value, expected[name]!, `shape ${i}, ${name}`)
      near(evaluation.metrics[`${name}_mean`]!.value, expected[name]!, `shape ${i}, ${name}_mean`)
    }
    assert.deepEqual(label.confusion, expected.confusion)
    const { truth, scores } = binary[i]!
    const ranking = rank(scores as number[], truth as number[], new Uint8Array(truth.length))
    within(rocPoints(ranking, 1e6), expected.roc, `shape ${i}, ROC`)
    within(precisionRecallPoints(ranking, 1e6), expected.pr, `shape ${i}, PR`)
  }
})

test('multi-class metrics equal scikit-learn to 1e-9', { skip }, () => {
  const random = seededNumbers(31)
  const classes = ['normal', 'bacterial', 'viral', 'other']
  const truth = Array.from({ length: 400 }, (_, i) => (i < 4 ? i : Math.floor(random() * 3.4)))
  const scores = truth.map((y) => {
    const raw = classes.map((_, k) => Math.floor((random() + (k === y ? 0.35 : 0)) * 50) + 1)
    const sum = raw.reduce((a, b) => a + b, 0)
    return raw.map((value) => value / sum)
  })
  const byClass = <T>(of: (c: number) => T) => Object.fromEntries(classes.map((name, c) => [name, of(c)]))
  const predictions = truth.map((y, i): Prediction => {
    const row = byClass((c) => scores[i]![c]!)
    const labels = byClass((c) => (c === y ? 1 : 0))
    return { case_id: `${i}`, patient_id: `${i}`, labels, logits: row, scores: row, attributes: {} }
  })
  const evaluation = evaluatePredictions(
    predictions,
    optionsFor(classes, { task: { labels: classes, exclusive: true }, bootstrap: 100 }),
  )
  const expected = scikitLearn({ binary: [], multiclass: [{ truth, scores }] }).multiclass[0]!
  for (const name of ['accuracy', 'balanced_accuracy', 'auroc_mean', 'f1_mean'] as const)
    near(evaluation.metrics[name]!.value, expected[name], name)
  for (const [c, name] of classes.entries())
    near(evaluation.per_label[name]!.auroc.value, expected.auroc[c]!, `AUROC of ${name}`)
  assert.deepEqual(evaluation.confusion_matrix!.counts, expected.confusion)
})

test('a bootstrap resample equals scikit-learn with sample_weight', { skip }, () => {
  const random = seededNumbers(41)
  const truth = Array.from({ length: 200 }, (_, i) => (i < 2 ? i : random() < 0.3 ? 1 : 0))
  const scores = truth.map((y) => Math.floor((random() + 0.2 * y) * 40) / 40)
  const patientOf = truth.map((_, i) => i % 60)
  const drawn = Uint16Array.from({ length: 60 }, () => Math.floor(random() * 4))
  const found = measureRanking(rank(scores, truth, patientOf), drawn, 0, emptyRankMetrics())
  const weight = patientOf.map((patient) => drawn[patient]!)
  const expected = scikitLearn({ binary: [{ truth, scores, weight, threshold: 0.5 }], multiclass: [] })
    .binary[0]!
  near(found.auroc, expected.auroc!, 'AUROC')
  near(found.average_precision, expected.average_precision!, 'average precision')
})
