import type { DicomHeader } from './dicom_header.ts'

/** Ultrasound and secondary captures mostly show who the patient is in the image itself. */
const MODALITIES: ReadonlySet<string> = new Set(['US', 'IVUS', 'SC', 'OT'])
const SECONDARY_CAPTURE = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.7(\.\d+)?$/
const ULTRASOUND = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.(6|3)(\.\d+)?$/

const ADVICE =
  'Look at it: if its pixels name nobody, data.allow_burned_in: true takes all such images; else erase the text first.'

/** Why an image may show its patient's name in its pixels; null if nothing speaks for it. */
export function burnedInReason({ burned_in, modality, sop_class }: DicomHeader): string | null {
  if (burned_in === true)
    return `The file says that text is burned into the image (BurnedInAnnotation). ${ADVICE}`
  if (burned_in === false) return null
  const kind = SECONDARY_CAPTURE.test(sop_class ?? '')
    ? 'a secondary capture'
    : ULTRASOUND.test(sop_class ?? '') || MODALITIES.has(modality ?? '')
      ? `of modality ${modality ?? 'ultrasound'}`
      : null
  return kind === null
    ? null
    : `The image is ${kind}, in which text is often burned in, and the file does not say otherwise. ${ADVICE}`
}
