import type { Anatomy, Exposure } from './phantom_anatomy.ts'
import { drawMarker, drawText } from './phantom_marks.ts'
import type { RandomStream } from './random_stream.ts'

export interface PhantomPicture {
  anatomy: Anatomy
  exposure: Exposure
  /** Widest heart over widest inner thorax. */
  cardiothoracic_ratio: number
  /** Fluid level above the costophrenic angle, as a share of the lung's height. */
  fluid_height: number
  marker: 'L' | 'R'
}

/**
 * A radiograph-like picture: opacity of the tissues along the beam, exposed, with noise, marker and the word
 * SYNTHETIC burnt in.
 *
 * @param texture numbers for the uneven tissue and the noise; the same stream gives the same pixels
 * @returns grey values, [size, size], row by row
 */
export function renderPhantom(picture: PhantomPicture, size: number, texture: RandomStream): Uint8Array {
  const opacity = opacityMap(picture, size, texture)
  const { gain, offset, gamma, noise } = picture.exposure
  const grey = new Uint8Array(size * size)
  for (let i = 0; i < grey.length; i++) {
    const exposed = 255 * Math.max(0, gain * opacity[i]! + offset) ** gamma
    grey[i] = clampByte(exposed + noise * texture.normal())
  }
  drawMarker(grey, size, picture.marker, texture)
  drawText(grey, size, 'SYNTHETIC')
  return grey
}

/** Opacity before exposure and noise, 0 air to 1 metal, [size, size]. */
export function opacityMap(picture: PhantomPicture, size: number, texture: RandomStream): Float32Array {
  const { anatomy: a, exposure: e } = picture
  const tissueCloud = cloud(texture, 5)
  const lungCloud = cloud(texture, 22)
  const vesselMap = vessels(a, size)
  const soft = Math.max(0.011, 1 / size)
  const width = 2 * a.thorax_half
  const heartWidth = picture.cardiothoracic_ratio * width
  const baseY = a.base_y + e.breath
  const lungHeight = baseY - a.apex_y
  const cos = Math.cos(e.rotation) / e.scale
  const sin = Math.sin(e.rotation) / e.scale
  const out = new Float32Array(size * size)
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const u = (column + 0.5) / size - 0.5 - e.shift[0]
      const v = (row + 0.5) / size - 0.5 - e.shift[1]
      const x = cos * u + sin * v
      const y = 0.5 - sin * u + cos * v
      const side = x < 0 ? 0 : 1
      const across = Math.abs(x)

      // Body outline: neck, shoulders, chest wall; air beyond.
      const outline =
        y < 0.2 ? 0.1 + 0.42 * smooth((y + 0.06) / 0.22) : 0.52 - 0.06 * smooth((y - 0.22) / 0.2)
      const body = edge(outline - across, 2 * soft)
      if (body === 0) continue

      // The rib cage: an arch that is widest near the base.
      const rise = Math.max(0, Math.min(1, (y - a.apex_y + 0.03) / (0.78 - a.apex_y)))
      const cage = a.thorax_half * ARCH[Math.round(rise * (ARCH.length - 1))]!
      const inner = a.mediastinum_half + 0.02 * bump(y, 0.43, 0.09)
      const lateral = Math.max(0, Math.min(1, (across - inner) / (a.thorax_half - inner)))
      const domeHeight = a.dome[0] + (a.dome[1] - a.dome[0]) * smooth(0.5 + x / (2 * inner))
      const diaphragm = baseY - domeHeight * Math.max(0, 1 - ((lateral - 0.36) / 0.64) ** 2)
      const apex = a.apex_y + 2.4 * Math.max(0, 0.15 - across) ** 2
      const inCage = edge(cage - across, soft) * edge(y - apex, 2 * soft)
      let lung = inCage * edge(across - inner, 1.6 * soft) * edge(diaphragm - y, soft)

      // Heart: two thirds of its width lie left of the patient's midline.
      const hx = (x - heartWidth / 6) / (heartWidth / 2)
      const hy = (y - a.heart_y - 0.12 * x) / a.heart_half_height
      const heart = edge((1 - Math.sqrt(hx * hx + hy * hy)) * 0.16, 1.6 * soft) * edge(baseY - y, soft)
      const knob = edge(0.036 - length(x - 0.042, y - 0.31), 1.3 * soft)

      // Fluid: opaque up to a concave level that is highest at the chest wall.
      let fluid = 0
      if ((a.fluid_side < 0 ? 0 : 1) === side) {
        const level = baseY - picture.fluid_height * lungHeight * (0.65 + 0.35 * lateral * lateral)
        fluid = edge(y - level, 2 * soft)
      }
      const aerated = lung * (1 - 0.9 * heart) * (1 - 0.9 * knob) * (1 - 0.93 * fluid)

      let o = a.tissue + 0.07 * (tissueCloud(x + 0.5, y) - 0.5)
      o += 0.16 * edge(y - diaphragm, soft) * inCage + 0.06 * (1 - inCage) * edge(across - cage, soft)
      o += 0.1 * heart + 0.09 * knob
      o += spine(across, y) - 0.12 * edge(0.017 - across, soft) * edge(0.36 - y, 0.04)
      if (across < 0.17) o += 0.08 * bump(across, 0.085, 0.028) * bump(y, 0.44, 0.055)
      o +=
        clavicle(across, y, a.clavicle_y, soft) +
        scapula(across, y, cage) +
        ribs(across, y, cage, a) * (0.45 + 0.55 * aerated)
      if (a.breast > 0) o += a.breast * edge(1 - length((across - 0.22) / 0.16, (y - 0.66) / 0.13), 0.25)
      if (side === 1 && a.stomach > 0)
        o -=
          a.stomach *
          edge(1 - length((x - 0.2) / 0.1, (y - baseY + 0.03) / 0.045), 0.3) *
          edge(y - diaphragm - 0.012, soft)
      const inLung = 0.1 + 0.05 * rise + 0.11 * (lungCloud(x + 0.5, y) - 0.5) + vesselMap(x, y)
      lung = aerated * (o - a.tissue) * 0.9 + aerated * inLung + (1 - aerated) * o
      out[row * size + column] = lung * body
    }
  }
  return out
}

/** Half width of the rib cage from apex (0) to its widest (1), as a share of the widest. */
const ARCH = Float64Array.from({ length: 2049 }, (_, i) => Math.sqrt(1 - (1 - i / 2048) ** 2.4))

/** As Math.hypot, at a tenth of its cost. */
function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y)
}

/** Rises smoothly from 0 to 1 as `distance` goes from -width to width. */
function edge(distance: number, width: number): number {
  return smooth(0.5 + distance / (2 * width))
}

function smooth(t: number): number {
  return t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t)
}

function bump(x: number, centre: number, width: number): number {
  const t = (x - centre) / width
  return t * t > 9 ? 0 : Math.exp(-t * t)
}

function spine(across: number, y: number): number {
  if (across > 0.07) return 0
  const vertebra = 0.035 * Math.cos((2 * Math.PI * y) / 0.068)
  return (0.12 + vertebra * edge(0.04 - across, 0.01)) * edge(0.045 - across, 0.014)
}

/** A bone that rises from beside the spine to the shoulder. */
function clavicle(across: number, y: number, at: number, soft: number): number {
  if (across < 0.03 || across > 0.46) return 0
  const t = (across - 0.03) / 0.43
  const centre = at + 0.03 - 0.07 * t - 0.045 * Math.sin(3.2 * t)
  const half = 0.011 + 0.007 * t
  const shape = edge(half - Math.abs(y - centre), soft)
  return 0.1 * shape * edge(across - 0.045, 0.015)
}

/** The blade's medial border, a soft edge that runs down beside the lung. */
function scapula(across: number, y: number, cage: number): number {
  if (y < 0.1 || y > 0.5) return 0
  const border = cage - 0.035 + 0.16 * (y - 0.3) ** 2
  return 0.05 * edge(across - border, 0.012) * edge(y - 0.14, 0.03) * edge(0.44 - y, 0.06)
}

/** Posterior ribs fall from the spine, anterior ones fall more steeply towards it; both have brighter margins. */
function ribs(across: number, y: number, cage: number, a: Anatomy): number {
  if (across < 0.04 || across > cage + 0.02 || y > a.base_y + 0.06) return 0
  const t = across / a.thorax_half
  const posterior = y - a.rib_slope * across * (1 - 0.75 * t) - 0.1 * t * t * t
  const anterior = y + 0.5 * across - 0.55 * across * across
  const fade = edge(cage + 0.01 - across, 0.015) * edge(a.base_y + 0.02 - y, 0.04) * edge(y - a.apex_y, 0.02)
  const behind = rib(posterior / a.rib_spacing + a.rib_phase, 0.21)
  const before = rib(anterior / (1.12 * a.rib_spacing) + 1.7 * a.rib_phase, 0.2) * smooth((t - 0.35) / 0.4)
  return a.rib_opacity * fade * (behind + 0.5 * before)
}

/** Cross-section of a periodic band, with cortical margins. */
function rib(phase: number, half: number): number {
  const d = Math.abs(phase - Math.floor(phase) - 0.5)
  return edge(half - d, 0.07) * (0.75 + 0.5 * bump(d, half - 0.03, 0.06))
}

/** Smooth random field in 0..1 over the unit square, from a lattice with `cells` nodes a side. */
function cloud(random: RandomStream, cells: number): (x: number, y: number) => number {
  const side = cells + 1
  const nodes = Float32Array.from({ length: side * side }, () => random.uniform())
  return (x, y) => {
    const px = Math.max(0, Math.min(cells - 1e-6, x * cells))
    const py = Math.max(0, Math.min(cells - 1e-6, y * cells))
    const ix = Math.floor(px)
    const iy = Math.floor(py)
    const fx = smooth(px - ix)
    const fy = smooth(py - iy)
    const at = iy * side + ix
    const top = nodes[at]! + fx * (nodes[at + 1]! - nodes[at]!)
    const bottom = nodes[at + side]! + fx * (nodes[at + side + 1]! - nodes[at + side]!)
    return top + fy * (bottom - top)
  }
}

/** Vessels that fan out from the hila and taper, stamped on a grid once and looked up. */
function vessels(a: Anatomy, size: number): (x: number, y: number) => number {
  const grid = Math.max(64, size)
  const map = new Float32Array(grid * grid)
  for (const vessel of a.vessels) {
    let angle = vessel.angle
    let x = vessel.side * 0.08
    let y = 0.44
    const steps = 30
    for (let i = 0; i < steps; i++) {
      const left = 1 - i / steps
      stamp(map, grid, x + 0.5, y, 0.004 + 0.006 * left, vessel.opacity * (0.3 + 0.7 * left))
      angle += (vessel.bend * 1.2) / steps
      x += (vessel.side * Math.cos(angle) * vessel.length) / steps
      y += (Math.sin(angle) * vessel.length) / steps
    }
  }
  return (x, y) => {
    const column = Math.floor((x + 0.5) * grid)
    const row = Math.floor(y * grid)
    if (column < 0 || row < 0 || column >= grid || row >= grid) return 0
    return map[row * grid + column]!
  }
}

function stamp(map: Float32Array, grid: number, x: number, y: number, radius: number, value: number): void {
  const reach = Math.ceil(2 * radius * grid)
  const cx = Math.floor(x * grid)
  const cy = Math.floor(y * grid)
  for (let row = Math.max(0, cy - reach); row <= Math.min(grid - 1, cy + reach); row++) {
    for (let column = Math.max(0, cx - reach); column <= Math.min(grid - 1, cx + reach); column++) {
      const dx = ((column + 0.5) / grid - x) / radius
      const dy = ((row + 0.5) / grid - y) / radius
      const i = row * grid + column
      map[i] = Math.max(map[i]!, value * Math.exp(-(dx * dx + dy * dy)))
    }
  }
}

function clampByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value)
}
