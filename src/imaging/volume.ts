/** Voxels of any stored type. 64-bit integers are read as Float64Array; files whose values it cannot hold are refused. */
export type Voxels =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array

/** [z, y, x] */
export type Triple = readonly [number, number, number]

/**
 * 16 numbers, row-major: (z, y, x, 1) array indices to (X, Y, Z, 1) world mm, RAS+: X grows towards the patient's right,
 * Y towards the front, Z towards the head. Formats convert to it; a missing or singular one is an error there, never
 * an identity.
 */
export type Affine = readonly number[]

/** Voxels on a grid in the patient: [C, Z, Y, X], x fastest, with the affine of the array's own axes. */
export interface Volume {
  /** channels · z · y · x values. */
  data: Voxels
  channels: number
  shape: Triple
  affine: Affine
  /** Of a raster image, whose affine counts pixels and places nobody. Absent: mm in the patient. */
  distance_unit?: 'px'
}
