import type { DicomAttributes } from './write.ts'

/** A concept of a terminology: SCT is SNOMED CT, DCM the standard's own. */
export interface Code {
  value: string
  scheme: string
  meaning: string
}

/** The item of a code sequence. @see DICOM PS3.3, 8.8 */
export function codeItem({ value, scheme, meaning }: Code): DicomAttributes {
  return {
    ...(value.length <= 16 ? { CodeValue: value } : { LongCodeValue: value }),
    CodingSchemeDesignator: scheme,
    CodeMeaning: plainText(meaning),
  }
}

/** Text that one value of 64 characters can hold: no backslash, which parts values, and no control characters. */
export function plainText(text: string): string {
  const plain = [...text].map((char) => (char === '\\' ? '/' : char < ' ' || char === '\x7f' ? ' ' : char))
  return plain.join('').slice(0, 64).trim()
}

export const CODES = {
  /** Of a structure nothing is known of but its name: it holds for organs and tumours alike. */
  tissue: { value: '85756007', scheme: 'SCT', meaning: 'Tissue' },
  artificialIntelligence: { value: '123110', scheme: 'DCM', meaning: 'Artificial Intelligence' },
  segmentation: { value: '113076', scheme: 'DCM', meaning: 'Segmentation' },
  sourceImage: {
    value: '121322',
    scheme: 'DCM',
    meaning: 'Source image for image processing operation',
  },
} as const satisfies Record<string, Code>
