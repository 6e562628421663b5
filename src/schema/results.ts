import { z } from 'zod'
import { CertificateCheck } from './model_package.ts'
import { Quarantined } from './shard_set.ts'

/** What each verb prints with `--json`; keys that others rely on. */
export const PrepareResult = z.strictObject({
  out: z.string(),
  set_id: z.string(),
  cases: z.int(),
  shards: z.int(),
  bytes: z.int(),
  quarantined: z.array(Quarantined),
  seconds: z.number(),
  cases_per_second: z.number(),
  reused: z.boolean(),
})
export type PrepareResult = z.infer<typeof PrepareResult>

export const Leak = z.strictObject({
  kind: z.enum(['same_patient', 'same_bytes']),
  case_ids: z.array(z.string()),
  splits: z.array(z.string()),
})
export type Leak = z.infer<typeof Leak>

export const InspectResult = z.strictObject({
  cases: z.int(),
  patients: z.int(),
  labels: z.record(z.string(), z.strictObject({ positive: z.int(), negative: z.int(), unknown: z.int() })),
  leaks: z.array(Leak),
  split: z.strictObject({ train: z.int(), val: z.int(), test: z.int() }),
  warnings: z.array(z.string()),
})
export type InspectResult = z.infer<typeof InspectResult>

export const TrainResult = z.strictObject({
  run_dir: z.string(),
  status: z.enum(['finished', 'early_stopped', 'stopped', 'failed']),
  steps: z.int(),
  epochs: z.number(),
  samples_per_second: z.number().nullable(),
  data_wait_fraction: z.number().nullable(),
  best: z.strictObject({ step: z.int(), metrics: z.record(z.string(), z.number().nullable()) }).nullable(),
  resumed_from: z.int().nullable(),
})
export type TrainResult = z.infer<typeof TrainResult>

export const PackageResult = z.strictObject({
  package_dir: z.string(),
  certificate: z.strictObject({ passed: z.boolean(), checks: z.array(CertificateCheck) }),
})
export type PackageResult = z.infer<typeof PackageResult>

export const PredictResult = z.strictObject({
  predictions: z.array(
    z.strictObject({
      file: z.string(),
      case_id: z.string(),
      input_sha256: z.string(),
      scores: z.record(z.string(), z.number()),
      decisions: z.record(z.string(), z.boolean()),
      operating_points: z.record(z.string(), z.number()).describe('Label → threshold applied.'),
      seconds: z.number(),
      warnings: z.array(z.string()),
    }),
  ),
  failed: z.array(z.strictObject({ file: z.string(), reason: z.string() })),
  package_digest: z.string(),
})
export type PredictResult = z.infer<typeof PredictResult>

export const ServeReady = z.strictObject({ url: z.string(), models: z.array(z.string()) })
