/** Value representations: how an element's bytes are to be understood. @see DICOM PS3.5, 6.2 */
export const VRS = {
  AE: { kind: 'text', isLong: false },
  AS: { kind: 'text', isLong: false },
  AT: { kind: 'tag', isLong: false },
  CS: { kind: 'text', isLong: false },
  DA: { kind: 'text', isLong: false },
  DS: { kind: 'text', isLong: false },
  DT: { kind: 'text', isLong: false },
  FD: { kind: 'float64', isLong: false },
  FL: { kind: 'float32', isLong: false },
  IS: { kind: 'text', isLong: false },
  LO: { kind: 'text', isLong: false },
  LT: { kind: 'text', isLong: false },
  OB: { kind: 'bytes', isLong: true },
  OD: { kind: 'float64', isLong: true },
  OF: { kind: 'float32', isLong: true },
  OL: { kind: 'uint32', isLong: true },
  OV: { kind: 'uint64', isLong: true },
  OW: { kind: 'bytes', isLong: true },
  PN: { kind: 'text', isLong: false },
  SH: { kind: 'text', isLong: false },
  SL: { kind: 'int32', isLong: false },
  SQ: { kind: 'sequence', isLong: true },
  SS: { kind: 'int16', isLong: false },
  ST: { kind: 'text', isLong: false },
  SV: { kind: 'int64', isLong: true },
  TM: { kind: 'text', isLong: false },
  UC: { kind: 'text', isLong: true },
  UI: { kind: 'text', isLong: false },
  UL: { kind: 'uint32', isLong: false },
  UN: { kind: 'bytes', isLong: true },
  UR: { kind: 'text', isLong: true },
  US: { kind: 'uint16', isLong: false },
  UT: { kind: 'text', isLong: true },
  UV: { kind: 'uint64', isLong: true },
} as const

export type Vr = keyof typeof VRS
export type VrKind = (typeof VRS)[Vr]['kind']

export function isVr(text: string): text is Vr {
  return Object.hasOwn(VRS, text)
}
