// DICOM trees for tests, with identifiers that cannot be mistaken for anything else.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DicomAttributes, writeDicom } from '../imaging/dicom/write.ts'
import { noise } from '../imaging/testing/samples.ts'

/** Of the n-th patient of a tree. */
export const identity = (n: number) => ({
  name: `Zebedee${n}^Quillfeather`,
  id: `MRN-QX${7000 + n}`,
  birth: `1947031${n % 10}`,
  study_date: `2019112${n % 10}`,
  accession: `ACC-QX${8000 + n}`,
  study: `1.2.826.0.1.3680043.77.${100 + n}`,
  series: `1.2.826.0.1.3680043.78.${100 + n}`,
  instance: (k: number) => `1.2.826.0.1.3680043.79.${100 + n}.${k}`,
  folder: `Quillfeather_Zebedee${n}_1947`,
})

export const PLACES = {
  institution: 'St Botolph Infirmary',
  station: 'BOTOLPH-DX4',
  physician: 'Quack^Hester',
}

/** Everything that may stand nowhere outside of `private/`, of the first `count` patients. */
export function identifiersOf(count: number): string[] {
  const found = Object.values(PLACES)
  for (let n = 0; n < count; n++) {
    const { instance, ...texts } = identity(n)
    found.push(...Object.values(texts), `Zebedee${n}`, instance(0), instance(1))
  }
  return [...found, 'Quillfeather', 'Botolph']
}

export interface Radiograph {
  patient: number
  /** Counted within the patient. */
  k: number
  /** Pixels depend on it alone. */
  seed: number
  changes?: { [K in keyof DicomAttributes]: DicomAttributes[K] | null }
}

/** Unequal sides, so that a swapped axis shows. */
export const RADIOGRAPH_SHAPE: [rows: number, columns: number] = [20, 24]

/** Two images a patient; every third patient has the finding. */
export function radiographs(patients: number): Radiograph[] {
  return Array.from({ length: 2 * patients }, (_, i) => ({
    patient: Math.floor(i / 2),
    k: i % 2,
    seed: i + 1,
  }))
}

/** Where an image lies in the tree: the even without an extension, as media have them. */
export const radiographPath = ({ patient, k }: Radiograph) =>
  `${identity(patient).folder}/study/${k % 2 === 0 ? `IM${k}` : `${identity(patient).instance(k)}.dcm`}`

export const radiographPixels = ({ seed }: Radiograph) => noise(...RADIOGRAPH_SHAPE, 1, 8, seed)

/** A digital radiograph of one frame and 8 bits. */
export function radiographBytes(one: Radiograph): Uint8Array {
  const { data } = radiographPixels(one)
  const [rows, columns] = RADIOGRAPH_SHAPE
  return dicomOf(one.patient, {
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.1.1',
    SOPInstanceUID: identity(one.patient).instance(one.k),
    Modality: 'DX',
    ViewPosition: one.k % 2 === 0 ? 'PA' : 'LL',
    InstanceNumber: one.k + 1,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: rows,
    Columns: columns,
    BitsAllocated: 8,
    BitsStored: 8,
    HighBit: 7,
    PixelRepresentation: 0,
    PixelData: data as Uint8Array,
    ...one.changes,
  })
}

/** Adds whose a file is to what it holds; `null` drops an attribute. */
export function dicomOf(
  patient: number,
  attributes: { [K in keyof DicomAttributes]: DicomAttributes[K] | null },
): Uint8Array {
  const { name, id, birth, study_date, accession, study, series } = identity(patient)
  const all = {
    PatientName: name,
    PatientID: id,
    PatientBirthDate: birth,
    PatientSex: patient % 2 === 0 ? 'F' : 'M',
    StudyDate: study_date,
    ContentDate: study_date,
    AccessionNumber: accession,
    StudyInstanceUID: study,
    SeriesInstanceUID: series,
    InstitutionName: PLACES.institution,
    ReferringPhysicianName: PLACES.physician,
    StudyDescription: `${name} at ${PLACES.institution}`,
    SeriesDescription: `t1 of ${PLACES.station}`,
    ...attributes,
  }
  return writeDicom(
    Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)) as DicomAttributes,
  )
}

/** Writes the tree, a directory of its media and a note beside it, and `labels.csv` by accession number. */
export async function writeRadiographs(root: string, images: readonly Radiograph[]): Promise<void> {
  for (const one of images) await writeBelow(root, radiographPath(one), radiographBytes(one))
  await writeBelow(
    root,
    'DICOMDIR',
    dicomOf(0, { SOPClassUID: '1.2.840.10008.1.3.10', SOPInstanceUID: '1.2.3' }),
  )
  await writeBelow(root, 'notes.txt', `${identity(0).name} came on ${identity(0).study_date}\n`)
  const patients = [...new Set(images.map(({ patient }) => patient))]
  const rows = patients.map((n) => `${identity(n).accession},${n % 3 === 0 ? 1 : 0}`)
  await writeBelow(root, 'labels.csv', `${['accession_number,nodule', ...rows].join('\n')}\n`)
}

export async function writeBelow(root: string, path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), bytes)
}

/** `data` of a recipe for such a tree. */
export const radiographData = (root: string, changes: object = {}) => ({
  root,
  source: {
    kind: 'dicom',
    labels: {
      file: 'labels.csv',
      key: 'accession',
      key_column: 'accession_number',
      columns: { nodule: 'nodule' },
    },
    attributes: ['sex', 'age', 'view'],
  },
  ...changes,
})
