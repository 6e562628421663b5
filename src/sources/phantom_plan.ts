import type { SplitPart } from '../schema/case.ts'
import type { PhantomSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { separation } from './phantom_optimum.ts'
import { randomStream, shuffled } from './random_stream.ts'

/** The findings of a phantom, named as in ChestX-ray14. The marker can be made to give away the second. */
export const PHANTOM_LABELS = ['Cardiomegaly', 'Effusion'] as const
export type PhantomLabel = (typeof PHANTOM_LABELS)[number]
export const MARKED_LABEL: PhantomLabel = 'Effusion'

/** An image to be rendered, and the truth behind it. */
export interface PhantomCase {
  case_id: string
  patient_id: string
  part: Extract<SplitPart, 'train' | 'test'>
  labels: Record<PhantomLabel, 0 | 1>
  /** How severe each finding looks, in standard deviations over all images; the picture is drawn from it. */
  severity: Record<PhantomLabel, number>
  /** Letter beside the thorax; R stands on the patient's right, at the left of the image. */
  marker: 'L' | 'R'
  age: number
  sex: 'F' | 'M'
  view: 'PA' | 'AP'
  follow_up: number
}

/** Share of patients in `test_list.txt`, near that of ChestX-ray14 (25,596 of 112,120 images). */
const TEST_SHARE = 0.2
/** Chance that an image takes its patient's lasting status for a finding, rather than one drawn anew. */
const PERSISTENCE = 0.7

/** Everything about a phantom but its pixels: a pure function of the parameters. */
export function planPhantom(source: PhantomSource): PhantomCase[] {
  const [fewest, most] = source.images_per_patient
  if (fewest > most)
    throw new UserError(
      `data.source.images_per_patient: [${fewest}, ${most}] has its smaller number second.\n  do: write [${most}, ${fewest}].`,
    )
  if (source.shared_patients > 0 && most < 2)
    throw new UserError(
      'data.source.shared_patients needs patients with two images or more.\n  do: raise the second number of data.source.images_per_patient.',
    )
  const patients = Array.from({ length: source.patients }, (_, i) => i)
  const dealt = shuffled(patients, randomStream(source.seed, 'official split'))
  const numTest = Math.max(1, Math.round(TEST_SHARE * source.patients))
  const test = new Set(dealt.slice(0, numTest))
  const shared = new Set(dealt.slice(numTest, numTest + source.shared_patients))
  if (shared.size < source.shared_patients)
    throw new UserError(
      `data.source.shared_patients: ${source.shared_patients} is more than the ${source.patients - numTest} patients of the training part.\n  do: lower it, or raise data.source.patients.`,
    )
  return patients.flatMap((patient) =>
    planPatient(source, patient, {
      part: test.has(patient) ? 'test' : 'train',
      isShared: shared.has(patient),
    }),
  )
}

function planPatient(
  source: PhantomSource,
  patient: number,
  { part, isShared }: { part: 'train' | 'test'; isShared: boolean },
): PhantomCase[] {
  const random = randomStream(source.seed, 'patient', patient)
  const drawn = random.int(...source.images_per_patient)
  const numImages = isShared ? Math.max(2, drawn) : drawn
  const age = Math.round(Math.min(95, Math.max(1, 52 + 17 * random.normal())))
  const sex = random.uniform() < 0.5 ? 'F' : 'M'
  const present = () => (random.uniform() < source.prevalence ? 1 : 0)
  const lasting = { Cardiomegaly: present(), Effusion: present() } as const
  return Array.from({ length: numImages }, (_, image): PhantomCase => {
    const label = (name: PhantomLabel) => (random.uniform() < PERSISTENCE ? lasting[name] : present())
    const labels = { Cardiomegaly: label('Cardiomegaly'), Effusion: label('Effusion') }
    const severity = {
      Cardiomegaly: drawSeverity(labels.Cardiomegaly, source.difficulty, random.normal()),
      Effusion: drawSeverity(labels.Effusion, source.difficulty, random.normal()),
    }
    const given = labels[MARKED_LABEL] === 1 ? 'R' : 'L'
    const free = random.uniform() < 0.5 ? 'R' : 'L'
    return {
      case_id: `${String(patient + 1).padStart(8, '0')}_${String(image).padStart(3, '0')}`,
      patient_id: String(patient + 1),
      part: isShared && image === numImages - 1 ? 'test' : part,
      labels,
      severity,
      marker: random.uniform() < source.marker_shortcut ? given : free,
      age,
      sex,
      view: random.uniform() < 0.6 ? 'PA' : 'AP',
      follow_up: image,
    }
  })
}

/**
 * Severity given the label: z ~ N(d' · label, 1), then shifted and scaled by the same numbers for every image, so
 * that pictures spread alike at every difficulty while telling less and less of the label.
 */
function drawSeverity(label: 0 | 1, difficulty: number, normal: number): number {
  const d = separation(difficulty)
  return (d * label + normal - d / 2) / severityScale(d)
}

/** Standard deviation of z when half of all images have the finding. */
export function severityScale(d: number): number {
  return Math.sqrt(1 + (d * d) / 4)
}
