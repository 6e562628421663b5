import { z } from 'zod'

const NameColumn = z.strictObject({
  column: z.string().describe('A string column holding the label name, or several joined by `separator`.'),
  separator: z.string().min(1).optional().describe("Splits one cell into several labels, e.g. '|'."),
  negative: z.array(z.string()).default([]).describe('Values that mean: none of the labels.'),
  unknown: z.array(z.string()).default([]).describe('Values masked in loss and metrics.'),
  map: z
    .record(z.string(), z.string())
    .optional()
    .describe('Value in the file → label name in the task, where they differ.'),
})
const FlagColumns = z.strictObject({
  columns: z.record(z.string(), z.string()).describe('Label name → 0/1 column.'),
  unknown: z
    .array(z.string())
    .default([])
    .describe("Cell values masked in loss and metrics, e.g. ['', '-1']."),
})
/** How a table's columns become labels. */
export const LabelColumns = z.union([NameColumn, FlagColumns])
export type LabelColumns = z.infer<typeof LabelColumns>

export const CsvSource = z.strictObject({
  kind: z.literal('csv'),
  file: z.string().describe('The table, relative to data.root. Tab-separated when it ends in .tsv.'),
  image: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe(
      "Column of paths of images or volumes, relative to data.root; or a folder's files by stem when they lack an extension. Of volumes with a file a channel, the column of each channel, in order.",
    ),
  images_dir: z
    .string()
    .default('')
    .describe(
      "Folder below data.root that image paths are relative to; with * for several, e.g. 'images_*/images'.",
    ),
  case_id: z.string().optional().describe('Column of case ids; else the image path without its extension.'),
  patient: z
    .union([
      z.string(),
      z.strictObject({
        column: z.string(),
        pattern: z
          .string()
          .describe(
            "Regular expression on its cells whose first group is the patient id, e.g. '(patient\\\\d+)'.",
          ),
      }),
    ])
    .nullable()
    .default(null)
    .describe(
      'Column of patient ids, or a pattern on a column; null treats every image as its own patient and warns.',
    ),
  labels: LabelColumns.exactOptional().describe('Needed for task.kind: classify.'),
  mask: z
    .string()
    .exactOptional()
    .describe(
      'Column of mask paths; needed for task.kind: segment, whose labels say what their values mean.',
    ),
  masks_dir: z
    .string()
    .exactOptional()
    .describe('Folder below data.root that mask paths are relative to; images_dir unless given.'),
  attributes: z.array(z.string()).default([]).describe('Columns kept as attributes, for subgroups.'),
})

export const FolderSource = z.strictObject({
  kind: z.literal('folder'),
  patient: z
    .string()
    .nullable()
    .default(null)
    .describe(
      "Regular expression on the root-relative path; its first group is the patient id, e.g. '(patient\\\\d+)'.",
    ),
  negative: z.array(z.string()).default([]).describe('Class folders that mean: none of the labels.'),
})

export const ChestXray14Source = z.strictObject({ kind: z.literal('chestxray14') })
export const MhistSource = z.strictObject({ kind: z.literal('mhist') })

/** Medical Segmentation Decathlon: dataset.json names modalities, labels and pairs of image and mask. */
export const DecathlonSource = z.strictObject({
  kind: z.literal('decathlon'),
  patient: z
    .string()
    .nullable()
    .default(null)
    .describe(
      'Regular expression on the case id; its first group is the patient id. null: every case its own.',
    ),
})
/** nnU-Net's raw layout: imagesTr/<case>_0000.nii.gz and on, labelsTr/<case>.nii.gz, dataset.json. */
export const NnUNetSource = z.strictObject({
  kind: z.literal('nnunet'),
  patient: z
    .string()
    .nullable()
    .default(null)
    .describe(
      'Regular expression on the case id; its first group is the patient id. null: every case its own.',
    ),
})

/** Synthetic, radiograph-like images with known truth; written in the NIH layout and read by `chestxray14`. */
export const PhantomSource = z.strictObject({
  kind: z.literal('phantom'),
  patients: z.int().min(4).default(200).describe('Synthetic patients.'),
  images_per_patient: z
    .tuple([z.int().positive(), z.int().positive()])
    .default([1, 4])
    .describe('Fewest and most images a patient.'),
  size: z.int().min(32).default(128).describe('Rows and columns of each image.'),
  seed: z.int().min(0).default(0).describe('The same seed gives the same bytes.'),
  prevalence: z.number().gt(0).lt(1).default(0.4).describe('Share of images with each finding.'),
  difficulty: z.number().min(0).max(1).default(0.3).describe('0: findings plain to see; 1: invisible.'),
  shared_patients: z
    .int()
    .min(0)
    .default(0)
    .describe('Patients planted in both parts of the official split.'),
  marker_shortcut: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('0: the laterality marker is independent of the findings; 1: it gives them away.'),
})
export type PhantomSource = z.infer<typeof PhantomSource>

/** Synthetic volumes of two modalities with known truth; written in the Decathlon's layout and read as such. */
export const PhantomVolumesSource = z.strictObject({
  kind: z.literal('phantom_volumes'),
  patients: z.int().min(4).default(24).describe('Synthetic patients.'),
  volumes_per_patient: z
    .tuple([z.int().positive(), z.int().positive()])
    .default([1, 2])
    .describe('Fewest and most volumes a patient.'),
  voxel_mm: z
    .number()
    .min(1)
    .max(6)
    .default(2.5)
    .describe('Edge of a voxel within a slice; slices lie 1.5 to 2 times as far apart.'),
  seed: z.int().min(0).default(0).describe('The same seed gives the same bytes.'),
  prevalence: z.number().gt(0).lt(1).default(0.6).describe('Share of patients with a lesion.'),
  difficulty: z.number().min(0).max(1).default(0.3).describe('0: structures plain to see; 1: invisible.'),
})
export type PhantomVolumesSource = z.infer<typeof PhantomVolumesSource>

const dicomKey = {
  file: z.string().describe('The table, relative to data.root.'),
  key: z
    .enum(['accession', 'study', 'series', 'instance'])
    .describe('What a row is about: an accession number, or a study, series or SOP instance UID.'),
  key_column: z.string().describe('Column that holds it.'),
}
/** Numbers and codes that say who an image shows only to the degree that any attribute does; age in years, at most 90. */
export const DICOM_ATTRIBUTES = [
  'sex',
  'age',
  'view',
  'laterality',
  'body_part',
  'modality',
  'manufacturer',
  'model',
] as const

/** DICOM files below a folder, whatever their names: by what is in them. */
export const DicomSource = z.strictObject({
  kind: z.literal('dicom'),
  labels: z
    .union([NameColumn.extend(dicomKey), FlagColumns.extend(dicomKey)])
    .nullable()
    .default(null)
    .describe('Table of labels; needed for task.kind: classify.'),
  unit: z
    .enum(['image', 'study'])
    .default('image')
    .describe('What is evaluated: every image, or a study by the scores of its images.'),
  aggregate: z.enum(['mean', 'max']).default('mean').describe("How a study's score is had from its images'."),
  select: z
    .strictObject({
      modality: z.array(z.string()).exactOptional().describe("Modalities kept, e.g. ['CT']."),
      description: z
        .string()
        .exactOptional()
        .describe('Regular expression on the series description; case does not matter.'),
      min_slices: z.int().min(1).default(2).describe('Of volumes: series with fewer images are left out.'),
    })
    .prefault({}),
  attributes: z
    .array(z.enum(DICOM_ATTRIBUTES))
    .default([])
    .describe('Taken from the files, for subgroups. An age of 90 stands for 90 and more.'),
})
export type DicomSource = z.infer<typeof DicomSource>

export const Source = z.discriminatedUnion('kind', [
  CsvSource,
  FolderSource,
  ChestXray14Source,
  MhistSource,
  DecathlonSource,
  NnUNetSource,
  DicomSource,
  PhantomSource,
  PhantomVolumesSource,
])
export type Source = z.infer<typeof Source>

/** Whether a source makes its own data, which show nobody: below `data.root`, when they are first read. */
export const isGenerated = ({ kind }: Source): boolean => kind === 'phantom' || kind === 'phantom_volumes'

export type CsvSource = z.infer<typeof CsvSource>
export type FolderSource = z.infer<typeof FolderSource>

const fraction = z.number().min(0).lt(1)
const seed = z.int().min(0).default(0)
export const Split = z.union([
  z
    .strictObject({
      val: fraction.default(0.15).describe('Share of patients in the validation split.'),
      test: fraction.default(0.2).describe('Share of patients in the test split.'),
      seed,
    })
    .refine(({ val, test }) => val + test < 1, 'val and test together leave nothing to train on'),
  z.strictObject({
    column: z.string().describe('Column with values train, val/valid/validation, test.'),
    val: fraction
      .default(0)
      .describe('Share of the training patients split off for validation when the column names none.'),
    seed,
  }),
  z.strictObject({
    official: z.literal(true).describe("The data set's own split."),
    val: fraction
      .default(0.15)
      .describe('Share of the training patients split off for validation when the data set names none.'),
    seed,
  }),
  z
    .strictObject({
      folds: z
        .int()
        .min(2)
        .max(1000)
        .describe('Patient-grouped cross-validation folds; the fold named is the validation split.'),
      fold: z.int().min(0).default(0),
      seed,
    })
    .refine(({ folds, fold }) => fold < folds, 'fold counts from 0: it must be below folds'),
])
export type Split = z.infer<typeof Split>

export const DataConfig = z.strictObject({
  root: z.string().describe('Folder of the data set, relative to the recipe. A phantom is generated there.'),
  source: Source,
  split: Split.prefault({ val: 0.15, test: 0.2, seed: 0 }),
  deidentify: z
    .union([z.literal('auto'), z.boolean()])
    .default('auto')
    .describe(
      'Cases and patients are named by salted hashes; files, UIDs and dates stay in private/. auto: of DICOM.',
    ),
  allow_burned_in: z
    .boolean()
    .default(false)
    .describe(
      'Take DICOM images that may show names: BurnedInAnnotation YES, or not said of ultrasound and captures.',
    ),
  previews: z
    .boolean()
    .default(false)
    .describe('Show pixels of de-identified cases in contact sheets and reports.'),
  allow_leaks: z
    .boolean()
    .default(false)
    .describe('Train although a given split shares patients between its parts; every report says so.'),
  max_quarantined: z
    .union([z.int().min(0), z.string().regex(/^\d+(\.\d+)?%$/, 'a share such as 1%')])
    .default('1%')
    .describe("Cases that may be unreadable before nothing is published: a count, or a share such as '1%'."),
})
export type DataConfig = z.infer<typeof DataConfig>

/** Whether cases go by salted hashes, and nothing that is written or shown says who they are. */
export const isDeidentified = ({ deidentify, source }: Pick<DataConfig, 'deidentify' | 'source'>): boolean =>
  deidentify === 'auto' ? source.kind === 'dicom' : deidentify

/** Whether contact sheets and reports may show what images look like. */
export const mayShowPixels = (data: Pick<DataConfig, 'deidentify' | 'source' | 'previews'>): boolean =>
  data.previews || !isDeidentified(data)
