import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { encodePng } from '#raster'
import { randomStream } from './random_stream.ts'

/**
 * Small folders in the layouts of published data sets, for tests of every room: the tables are real in form, the
 * pictures are noise around a brightness that rises with the finding.
 */
export interface ChestXray14Layout {
  /** Which entry table: '2017' has ages like 058Y and a header that ends in an empty column. */
  release?: '2017' | '2020'
  /** 'flat': images/; 'numbered': images_001/images/ and images_002/images/. */
  folders?: 'flat' | 'numbered'
  patients?: number
  /** Official lists, the last fifth of the patients in the test list. */
  hasLists?: boolean
  /** Patients with an image in each list. */
  sharedPatients?: number
  size?: number
}

const FINDINGS = [
  'No Finding',
  'Effusion',
  'Infiltration|Nodule',
  'Pleural_Thickening',
  'No Finding',
  'Effusion|Mass',
]

/** Two images a patient; findings cycle through 'No Finding', Effusion, Infiltration|Nodule, … by patient. */
export async function writeChestXray14Layout(
  root: string,
  options: ChestXray14Layout = {},
): Promise<string[]> {
  const {
    release = '2020',
    folders = 'flat',
    patients = 10,
    hasLists = true,
    sharedPatients = 0,
    size = 32,
  } = options
  const geometry = 'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
  const rows = [
    `Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient ${release === '2017' ? 'Gender' : 'Sex'},View Position,${geometry}${release === '2017' ? ',' : ''}`,
  ]
  const lists = { train: '', test: '' }
  const names: string[] = []
  for (let patient = 1; patient <= patients; patient++) {
    for (let followUp = 0; followUp < 2; followUp++) {
      const name = `${String(patient).padStart(8, '0')}_${String(followUp).padStart(3, '0')}.png`
      const finding = FINDINGS[(patient - 1) % FINDINGS.length]!
      const age = 40 + patient
      rows.push(
        `${name},${finding},${followUp},${patient},${release === '2017' ? `${String(age).padStart(3, '0')}Y` : age},${patient % 2 ? 'M' : 'F'},${followUp ? 'AP' : 'PA'},2500,2048,0.168,0.168${release === '2017' ? ',' : ''}`,
      )
      const isTest = patient > 0.8 * patients || (patient <= sharedPatients && followUp === 1)
      lists[isTest ? 'test' : 'train'] += `${name}\n`
      names.push(name)
      const folder = folders === 'flat' ? 'images' : `images_00${patient <= patients / 2 ? 1 : 2}/images`
      await writePicture(join(root, folder, name), {
        size,
        channels: 1,
        brightness: finding === 'No Finding' ? 80 : 140,
        key: name,
      })
    }
  }
  await mkdir(root, { recursive: true })
  await writeFile(
    join(root, release === '2017' ? 'Data_Entry_2017.csv' : 'Data_Entry_2017_v2020.csv'),
    `${rows.join('\n')}\n`,
  )
  if (hasLists) {
    await writeFile(join(root, 'train_val_list.txt'), lists.train)
    await writeFile(join(root, 'test_list.txt'), lists.test)
  }
  return names
}

/** RGB tiles; votes for SSA go round 0 to 7, and every fourth tile is in the test partition. */
export async function writeMhistLayout(root: string, { tiles = 16, size = 32 } = {}): Promise<string[]> {
  const rows = ['Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition']
  const names: string[] = []
  for (let tile = 0; tile < tiles; tile++) {
    const votes = tile % 8
    const name = `MHIST_${tile.toString(36).padStart(3, 'a')}.png`
    rows.push(`${name},${votes >= 4 ? 'SSA' : 'HP'},${votes},${tile % 4 === 3 ? 'test' : 'train'}`)
    names.push(name)
    await writePicture(join(root, 'images', name), {
      size,
      channels: 3,
      brightness: 100 + 15 * votes,
      key: name,
    })
  }
  await writeFile(join(root, 'annotations.csv'), `${rows.join('\n')}\n`)
  return names
}

/** Files of text or bytes by their path below `root`; true is a small grey PNG. */
export async function writeFiles(
  root: string,
  files: Record<string, string | Uint8Array | true>,
): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    const at = join(root, path)
    if (contents === true) await writePicture(at, { size: 8, channels: 1, brightness: 128, key: path })
    else {
      await mkdir(dirname(at), { recursive: true })
      await writeFile(at, contents)
    }
  }
}

/** A PNG of noise around a brightness; the key makes it unlike any other. */
export async function writePicture(
  path: string,
  { size, channels, brightness, key }: { size: number; channels: 1 | 3; brightness: number; key: string },
): Promise<void> {
  const random = randomStream('picture', key)
  const data = Uint8Array.from({ length: size * size * channels }, () =>
    Math.max(0, Math.min(255, Math.round(brightness + 20 * random.normal()))),
  )
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, await encodePng({ data, height: size, width: size, channels }))
}
