/**
 * Text in the character set that a data set names. Of several (code extensions) the first that is known counts, which
 * reads everything but the escaped parts of East Asian names; unknown ones are read as Latin-1.
 *
 * @param characterSet values of SpecificCharacterSet; none is ASCII
 * @see DICOM PS3.3, C.12.1.1.2
 */
export function decodeText(bytes: Uint8Array, characterSet: readonly string[]): string {
  const label = characterSet.map((name) => LABELS[name.replace('ISO 2022 IR', 'ISO_IR')]).find(Boolean)
  return new TextDecoder(label ?? 'latin1').decode(bytes)
}

const LABELS: Record<string, string> = {
  'ISO_IR 100': 'latin1',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'windows-1254',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 149': 'euc-kr',
  'ISO_IR 192': 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
}
