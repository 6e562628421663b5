import { z } from 'zod'
import { CertificateCheck } from './model_package.ts'
import { PartCounts, Quarantined } from './shard_set.ts'

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
  reused: z.boolean().describe('The set was there, and whole.'),
  repaired: z.int().describe('Damaged shards of a set that was there, made again.'),
})
export type PrepareResult = z.infer<typeof PrepareResult>

export const InitResult = z.strictObject({
  recipe: z.string().describe('Absolute path, written unless `dry_run`.'),
  dry_run: z.boolean(),
  name: z.string(),
  source: z.string(),
  synthetic: z.boolean(),
  cases: z.int().nullable().describe('Null where the data are still to be made.'),
  patients: z.int().nullable(),
  labels: z.record(z.string(), z.strictObject({ positive: z.int(), negative: z.int(), unknown: z.int() })),
  skipped: z.int().describe('Files or rows left out.'),
  recognised: z.array(z.string()),
  please_check: z.array(z.string()),
  warnings: z.array(z.string()),
  text: z.string().describe('The recipe.'),
})
export type InitResult = z.infer<typeof InitResult>

/** `prepare --slice i/n` */
export const PrepareSliceResult = z.strictObject({
  slice: z.string(),
  staging: z.string().describe('Where the slices meet.'),
  shards: z.int().describe('Of this slice.'),
  cases: z.int(),
  missing_shards: z.int().describe('Of the whole set: what other slices have still to make.'),
  seconds: z.number(),
  set: PrepareResult.nullable().describe('The whole set, if this slice was the last.'),
})
export type PrepareSliceResult = z.infer<typeof PrepareSliceResult>

/** `prepare --dry-run` */
export const PrepareDryRun = z.strictObject({
  dry_run: z.literal(true),
  out: z.string().describe('The set that is there, or the folder that it would be made in.'),
  cases: z.int(),
  shards: z.int(),
  bytes: z.int(),
  free_bytes: z.int().nullable(),
  reused: z.boolean(),
})
export type PrepareDryRun = z.infer<typeof PrepareDryRun>

export const Leak = z.strictObject({
  kind: z.enum(['same_patient', 'same_bytes']),
  case_ids: z.array(z.string()),
  splits: z.array(z.string()),
})
export type Leak = z.infer<typeof Leak>

const triple = z.tuple([z.number(), z.number(), z.number()]).readonly()
const tripleRange = z.strictObject({ min: triple, median: triple, max: triple })
export const InspectResult = z.strictObject({
  cases: z.int(),
  patients: z.int(),
  labels: z.record(z.string(), z.strictObject({ positive: z.int(), negative: z.int(), unknown: z.int() })),
  leaks: z.array(Leak.extend({ case_splits: z.array(z.string()).describe('Part of each of case_ids.') })),
  split: PartCounts.describe('Cases in each part.'),
  split_patients: PartCounts,
  split_kind: z
    .enum(['random', 'column', 'official', 'folds'])
    .nullable()
    .describe('column and official are given with the data; null: they bring none.'),
  images: z
    .strictObject({
      sampled: z.int(),
      unreadable: z.int().describe('Of the sample.'),
      formats: z.array(z.string()),
      bits: z.union([z.literal(8), z.literal(16)]),
      colour: z.enum(['grey', 'rgb']).describe('What they show: RGB whose components are equal is grey.'),
      is_stored_as_rgb: z.boolean().describe('Three components or more in most files.'),
      height: z.strictObject({ min: z.int(), median: z.int(), max: z.int() }),
      width: z.strictObject({ min: z.int(), median: z.int(), max: z.int() }),
    })
    .nullable()
    .describe('From a sample; null when none of it could be read, or the data are volumes.'),
  volumes: z
    .strictObject({
      sampled: z.int().describe('Volumes whose header was read.'),
      channels: z.int(),
      modalities: z.array(z.string()).nullable().describe('One a channel; null where nothing names them.'),
      orientations: z.record(z.string(), z.int()).describe('Such as RAS → volumes stored so.'),
      shape: tripleRange.describe('[z, y, x] along the axes of RAS.'),
      spacing_mm: tripleRange.describe('[z, y, x] along the axes of RAS.'),
      volume_ml: z
        .record(
          z.string(),
          z.strictObject({ min: z.number(), median: z.number(), max: z.number() }).nullable(),
        )
        .describe('Structure → its volume where it is present.'),
      distance_unit: z
        .literal('px')
        .exactOptional()
        .describe(
          'Of 2D images without a place in a patient: spacing_mm counts pixels, and volume_ml thousands of them.',
        ),
    })
    .nullable()
    .describe('Of volumes, and of 2D images with masks; null for images with labels.'),
  skipped: z
    .array(z.strictObject({ file: z.string(), reason: z.string() }))
    .describe('Listed, but there is no such file.'),
  synthetic: z.boolean().describe('Made by a generator.'),
  contact_sheet: z
    .strictObject({
      file: z.string(),
      rows: z.array(z.strictObject({ label: z.string(), case_ids: z.array(z.string()) })),
    })
    .nullable(),
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
      input_sha256: z
        .string()
        .describe(
          'Of its one file; of several, of their SHA-256, a line each: channels in order, instances of a DICOM series sorted.',
        ),
      scores: z.record(z.string(), z.number()),
      decisions: z.record(z.string(), z.boolean()),
      operating_points: z.record(z.string(), z.number()).describe('Label → threshold applied.'),
      mask: z
        .string()
        .exactOptional()
        .describe(
          'Of a segmentation: the file of the mask, where one was written; from the server its name.',
        ),
      mask_base64: z
        .string()
        .exactOptional()
        .describe(
          "From the server: the mask as .nii.gz, on the grid of the case's own files; of a 2D image as .png of its size.",
        ),
      views_png_base64: z
        .string()
        .exactOptional()
        .describe('From the server with ?views=true: three slices through the mask, drawn.'),
      volumes_ml: z
        .record(z.string(), z.number())
        .exactOptional()
        .describe('Of a segmentation: structure → volume; its decision is whether there is any.'),
      areas_px: z
        .record(z.string(), z.int())
        .exactOptional()
        .describe('The same of a 2D image, which has no ml: structure → pixels.'),
      mask_dicom: z
        .string()
        .exactOptional()
        .describe('Of a segmentation of a DICOM series: the same mask as a DICOM Segmentation.'),
      mask_dicom_base64: z.string().exactOptional().describe('From the server: that DICOM Segmentation.'),
      seconds: z.number(),
      warnings: z.array(z.string()),
    }),
  ),
  failed: z.array(z.strictObject({ file: z.string(), reason: z.string() })),
  package_digest: z.string(),
})
export type PredictResult = z.infer<typeof PredictResult>

export const ServeReady = z.strictObject({ url: z.string(), models: z.array(z.string()) })

export const RunSummary = z.strictObject({
  run: z.string().describe('Name of the folder.'),
  run_dir: z.string(),
  name: z.string(),
  status: z.enum(['finished', 'early_stopped', 'stopped', 'failed', 'running', 'interrupted', 'new']),
  step: z.int(),
  total_steps: z.int().nullable(),
  created: z.string(),
  best: z.strictObject({ step: z.int(), metrics: z.record(z.string(), z.number().nullable()) }).nullable(),
  select: z.string().describe('Validation metric that names the best checkpoint.'),
})
export type RunSummary = z.infer<typeof RunSummary>

export const RunsListResult = z.strictObject({
  runs: z.array(RunSummary),
  damaged: z.array(z.strictObject({ dir: z.string(), reason: z.string() })),
})
export type RunsListResult = z.infer<typeof RunsListResult>

export const RunsShowResult = RunSummary.extend({
  config: z.record(z.string(), z.json()).describe('run.json.'),
  validations: z.array(
    z.strictObject({
      step: z.int(),
      epoch: z.number(),
      metrics: z.record(z.string(), z.number().nullable()),
      is_best: z.boolean(),
    }),
  ),
  seconds: z.record(z.string(), z.number()).describe('Where the time went, all finished starts together.'),
  warnings: z.array(z.string()),
  message: z.string().nullable().describe('What the last start ended with.'),
  files: z
    .record(z.string(), z.string())
    .describe('Those that exist: report, evaluation, test_report, test_evaluation, package.'),
})
export type RunsShowResult = z.infer<typeof RunsShowResult>

export const RunsLogsResult = z.strictObject({
  run_dir: z.string(),
  log: z.array(z.string()).describe('Starts, epochs, validations, warnings, best checkpoints, ends.'),
  ranks: z
    .array(z.strictObject({ rank: z.int(), file: z.string(), lines: z.array(z.string()) }))
    .describe('What each process wrote.'),
})
export type RunsLogsResult = z.infer<typeof RunsLogsResult>

export const RunsCompareResult = z.strictObject({
  runs: z.array(z.string()),
  config: z
    .record(z.string(), z.array(z.json()))
    .describe('Keys of run.json that differ → one value a run, null where absent.'),
  metrics: z
    .record(z.string(), z.array(z.number().nullable()))
    .describe('Of the best checkpoint on validation → one value a run.'),
})
export type RunsCompareResult = z.infer<typeof RunsCompareResult>

export const RunResult = z.strictObject({
  run_dir: z.string(),
  stages: z.array(
    z.strictObject({
      stage: z.enum(['prepare', 'train', 'evaluate', 'package']),
      skipped: z.boolean().describe('Its output was complete and current.'),
      seconds: z.number(),
    }),
  ),
  prepare: PrepareResult,
  train: TrainResult,
  evaluate: z
    .record(z.string(), z.json())
    .describe('Of the validation split; the keys of the verb evaluate.'),
  test_split: z
    .strictObject({
      cases: z.int(),
      openings: z.int(),
      last_opened: z.string().nullable(),
      report: z.string().nullable(),
      stale: z.string().nullable().describe('Why its numbers are not of the operating points that hold now.'),
    })
    .describe('Left closed; what earlier openings have left.'),
  package: PackageResult,
  package_dir: z.string(),
  report: z.string(),
  synthetic: z.boolean().describe('Made by a generator: the numbers say nothing about patients.'),
  seconds: z.number(),
})
export type RunResult = z.infer<typeof RunResult>

/** What a verb with `--dry-run` prints: it wrote and started nothing. */
export const DryRunResult = z.strictObject({ dry_run: z.literal(true), would: z.array(z.string()) })
export type DryRunResult = z.infer<typeof DryRunResult>
