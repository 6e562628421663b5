import type { Grid } from '../imaging/geometry/grid.ts'
import type { Triple } from '../imaging/volume.ts'
import type { PhantomVolumesSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type RandomStream, randomStream, shuffled } from './random_stream.ts'

/** What dataset.json of a phantom says. */
export const PHANTOM_MODALITIES = ['phantom A', 'phantom B']
/** The organ's value stands for what of it is no lesion. */
export const PHANTOM_STRUCTURES = { Organ: 1, Lesion: 2 } as const
export type PhantomStructure = keyof typeof PHANTOM_STRUCTURES

/** Axes in the frame of the body: [Right, Anterior, Superior] mm. */
type Point = readonly [number, number, number]

export interface Ellipsoid {
  centre: Point
  radii: Point
}

/** A volume to be rendered, and the truth behind it. */
export interface PhantomVolume {
  case_id: string
  patient_id: string
  /** Where its voxels lie in the world. */
  grid: Grid
  /** Directions of the array's x, y, z. */
  orientation: string
  /** World mm of the body's own origin. */
  position: Point
  body: Ellipsoid
  organ: Ellipsoid
  /** Like the organ in signal, on the other side, and no structure of the masks. */
  twin: Ellipsoid
  /** Within the organ. */
  lesion: Ellipsoid | null
  /** Exact, of the ellipsoids: no voxel takes part. */
  volumes_ml: Record<PhantomStructure, number>
}

/** mm to the Right, Anterior and Superior that every volume covers. */
const FIELD_OF_VIEW: Point = [116, 92, 108]
/** Stored one after the other: upright and turned, mirrored and permuted. */
const ORIENTATIONS = ['RAS', 'LPS', 'PIR', 'LAS', 'ASL', 'SRA', 'IPL']
const MOST_TILT = (12 / 180) * Math.PI

/** Everything about the phantom volumes but their voxels: a pure function of the parameters. */
export function planPhantomVolumes(source: PhantomVolumesSource): PhantomVolume[] {
  const [fewest, most] = source.volumes_per_patient
  if (fewest > most)
    throw new UserError(
      `data.source.volumes_per_patient: [${fewest}, ${most}] has its smaller number second.\n  do: write [${most}, ${fewest}].`,
    )
  const patients = Array.from({ length: source.patients }, (_, i) => i)
  const numSick = Math.min(source.patients - 1, Math.max(1, Math.round(source.prevalence * source.patients)))
  const sick = new Set(shuffled(patients, randomStream(source.seed, 'lesions')).slice(0, numSick))
  const planned = patients.flatMap((patient) => planPatient(source, patient, sick.has(patient)))
  return planned.map((plan, i) => {
    const orientation = ORIENTATIONS[i % ORIENTATIONS.length]!
    const random = randomStream(source.seed, 'grid', plan.case_id)
    const position = [0, 1, 2].map(() => random.between(-60, 60)) as unknown as Point
    return { ...plan, orientation, position, grid: drawGrid(source.voxel_mm, orientation, position, random) }
  })
}

type Plan = Omit<PhantomVolume, 'grid' | 'orientation' | 'position'>

function planPatient(source: PhantomVolumesSource, patient: number, hasLesion: boolean): Plan[] {
  const random = randomStream(source.seed, 'patient', patient)
  const size = random.between(0.9, 1.05)
  const near = (point: Point, most: number) =>
    point.map((value) => value * size + random.between(-most, most)) as unknown as Point
  const sized = (radii: Point) =>
    radii.map((value) => value * size * random.between(0.88, 1.12)) as unknown as Point
  const body = { centre: [0, 0, 0] as const, radii: sized([48, 37, 44]) }
  const organ = { centre: near([21, 2, 4], 2), radii: sized([18, 16, 21]) }
  const twin = { centre: near([-22, -2, 2], 2), radii: sized([14, 13, 17]) }
  const patient_id = `phantom${String(patient + 1).padStart(3, '0')}`
  return Array.from({ length: random.int(...source.volumes_per_patient) }, (_, visit): Plan => {
    const lesion = hasLesion ? drawLesion(organ, random) : null
    const [whole, sick] = [millilitres(organ), lesion === null ? 0 : millilitres(lesion)]
    return {
      case_id: `${patient_id}_${visit}`,
      patient_id,
      body,
      organ,
      twin,
      lesion,
      volumes_ml: { Organ: whole - sick, Lesion: sick },
    }
  })
}

/** The organ made smaller and moved so little that it stays inside. */
function drawLesion(organ: Ellipsoid, random: RandomStream): Ellipsoid {
  const scale = random.between(0.35, 0.55)
  const reach = (1 - scale) * 0.95 * Math.cbrt(random.uniform())
  const away = direction(random)
  return {
    centre: organ.centre.map((c, k) => c + away[k]! * reach * organ.radii[k]!) as unknown as Point,
    radii: organ.radii.map((r) => r * scale) as unknown as Point,
  }
}

/** Evenly over the sphere. */
function direction(random: RandomStream): Point {
  const z = random.between(-1, 1)
  const angle = random.between(0, 2 * Math.PI)
  const across = Math.sqrt(1 - z * z)
  return [across * Math.cos(angle), across * Math.sin(angle), z]
}

const millilitres = ({ radii: [a, b, c] }: Ellipsoid) => ((4 / 3) * Math.PI * a * b * c) / 1000

/** A grid about the body: of unequal spacing, tilted every second time, its axes in the order and directions named. */
function drawGrid(voxel_mm: number, orientation: string, centre: Point, random: RandomStream): Grid {
  const thick = random.int(0, 2)
  const between = voxel_mm * random.between(1.5, 2)
  const isOblique = random.uniform() < 0.5
  const tilt = [0, 1, 2].map(() => (isOblique ? random.between(-MOST_TILT, MOST_TILT) : 0))
  const axes = rotation(tilt as unknown as Point)
  // The last letter is z's, the array's first axis.
  const steps = [...orientation].reverse().map((letter) => {
    const world = ['LR', 'PA', 'IS'].findIndex((pair) => pair.includes(letter))
    const spacing = world === thick ? between : voxel_mm
    const sign = 'RAS'.includes(letter) ? 1 : -1
    return {
      count: Math.ceil(FIELD_OF_VIEW[world]! / spacing),
      step: axes.map((row) => sign * spacing * row[world]!) as unknown as Point,
    }
  })
  const rows = [0, 1, 2].flatMap((k) => {
    const middle = steps.reduce((sum, { count, step }) => sum + ((count - 1) / 2) * step[k]!, 0)
    return [...steps.map(({ step }) => step[k]!), centre[k]! - middle]
  })
  return {
    shape: steps.map(({ count }) => count) as unknown as Triple,
    // As NIfTI keeps it.
    affine: [...rows, 0, 0, 0, 1].map((value) => Math.fround(value) + 0),
  }
}

/** About Right, Anterior and Superior, one after the other; radians. */
function rotation([a, b, c]: Point): [Point, Point, Point] {
  const [ca, sa, cb, sb, cc, sc] = [a, b, c].flatMap((t) => [Math.cos(t), Math.sin(t)]) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return [
    [cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa],
    [sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa],
    [-sb, cb * sa, cb * ca],
  ]
}
