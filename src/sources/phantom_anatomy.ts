import type { RandomStream } from './random_stream.ts'

/**
 * Lengths in fractions of the image side. X runs from the midline to the right of the image, which is the
 * patient's left; Y runs down from the top.
 */
export interface Anatomy {
  /** Half of the inner width of the thorax at its widest. */
  thorax_half: number
  apex_y: number
  /** Y of the costophrenic angles, where the lungs end at the sides. */
  base_y: number
  /** Height of each diaphragm dome above the costophrenic angle: at the left and right of the image. */
  dome: [left: number, right: number]
  mediastinum_half: number
  heart_y: number
  heart_half_height: number
  rib_spacing: number
  rib_slope: number
  rib_phase: number
  rib_opacity: number
  clavicle_y: number
  breast: number
  stomach: number
  /** Opacity of soft tissue; more in a larger patient. */
  tissue: number
  /** Side of a pleural effusion: -1 at the left of the image, 1 at the right. */
  fluid_side: -1 | 1
  vessels: Vessel[]
}

export interface Vessel {
  side: -1 | 1
  angle: number
  length: number
  bend: number
  opacity: number
}

/** How the patient stood and how the picture was taken: drawn for each image. */
export interface Exposure {
  shift: [x: number, y: number]
  scale: number
  /** Radians. */
  rotation: number
  /** Shift of the diaphragm by inspiration. */
  breath: number
  gain: number
  offset: number
  gamma: number
  /** Standard deviation of the noise, grey levels of 255. */
  noise: number
}

export function drawAnatomy(random: RandomStream, sex: 'F' | 'M'): Anatomy {
  return {
    thorax_half: random.between(0.36, 0.42),
    apex_y: random.between(0.08, 0.12),
    base_y: random.between(0.82, 0.88),
    dome: [random.between(0.12, 0.16), random.between(0.09, 0.13)],
    mediastinum_half: random.between(0.05, 0.066),
    heart_y: random.between(0.6, 0.64),
    heart_half_height: random.between(0.155, 0.18),
    rib_spacing: random.between(0.075, 0.09),
    rib_slope: random.between(0.18, 0.34),
    rib_phase: random.uniform(),
    rib_opacity: random.between(0.08, 0.12),
    clavicle_y: random.between(0.13, 0.17),
    breast: sex === 'F' ? random.between(0.03, 0.09) : 0,
    stomach: random.between(0, 0.22),
    tissue: random.between(0.56, 0.66),
    fluid_side: random.uniform() < 0.5 ? -1 : 1,
    vessels: Array.from(
      { length: 26 },
      (_, i): Vessel => ({
        side: i % 2 === 0 ? -1 : 1,
        angle: random.between(-1.25, 1.35),
        length: random.between(0.12, 0.3),
        bend: random.between(-0.5, 0.5),
        opacity: random.between(0.05, 0.12),
      }),
    ),
  }
}

export function drawExposure(random: RandomStream, view: 'PA' | 'AP'): Exposure {
  return {
    shift: [0.02 * random.normal(), 0.015 * random.normal()],
    scale: random.between(0.94, 1.06),
    rotation: 0.03 * random.normal(),
    breath: random.between(-0.015, 0.015),
    gain: random.between(0.85, 1.1),
    offset: random.between(-0.05, 0.05),
    gamma: random.between(0.85, 1.2),
    noise: view === 'AP' ? random.between(5, 8) : random.between(3, 6),
  }
}

/** Widest heart over widest inner thorax. 0.5 is the radiologist's rule of thumb; the mean severity gives it. */
export function cardiothoracicRatio(severity: number): number {
  return Math.min(0.86, Math.max(0.16, 0.5 + 0.085 * severity))
}

/** Fluid level above the costophrenic angle, as a share of the lung's height: 4 % blunts the angle, 70 % leaves an apex. */
export function fluidHeight(severity: number): number {
  return 0.16 * Math.exp(0.6 * severity)
}
