import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { encodeRaster } from '#raster'
import { decodeImage } from '../imaging/decode_image.ts'
import { readSegmentation } from '../imaging/dicom/seg_read.ts'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { type LoadedPackage, loadPackage } from '../package/load.ts'
import { type LoadedSegmenter, loadSegmenter } from '../package/load_segmenter.ts'
import { makePhantoms } from '../package/phantoms.ts'
import {
  TINY_VOLUME_SPEC as TINY_SCORED_SPEC,
  TINY_SPEC,
  writeTinyPackage,
} from '../package/testing/tiny_package.ts'
import { TINY_IMAGE, TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import { PredictResult } from '../schema/results.ts'
import { ServedModels, ServeError } from '../schema/serving.ts'
import { identifiersOf, identity } from '../sources/dicom_fixture.ts'
import { seriesFiles } from '../sources/dicom_series_fixture.ts'
import { drawnImage } from '../sources/raster_fixture.ts'
import { type AppOptions, buildApp, type LogRecord, type Served } from './app.ts'

let scratch = ''
let volumes: LoadedSegmenter
let pairs: LoadedSegmenter
let images: LoadedPackage
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-serve-volumes-'))
  const twoChannels = { channels: 2, intensity: [{ kind: 'zscore' as const }, { kind: 'zscore' as const }] }
  await writeTinySegmenter(join(scratch, 'volumes'))
  await writeTinySegmenter(join(scratch, 'pairs'), { spec: twoChannels })
  await writeTinyPackage(join(scratch, 'images'))
  volumes = await loadSegmenter(join(scratch, 'volumes'), { threads: 1 })
  pairs = await loadSegmenter(join(scratch, 'pairs'), { threads: 1 })
  images = await loadPackage(join(scratch, 'images'), { threads: 1 })
})
after(async () => {
  await Promise.all([volumes.close(), pairs.close(), images.close()])
  await rm(scratch, { recursive: true, force: true })
})
const [first, second] = await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12])
const scan = first!.bytes
const other = second!.bytes
const png = (await makePhantoms(TINY_SPEC))[0]!.bytes

async function withApp(
  options: Partial<AppOptions>,
  use: (app: Awaited<ReturnType<typeof buildApp>>, records: LogRecord[]) => Promise<void>,
) {
  const records: LogRecord[] = []
  const models = new Map<string, Served>([
    ['volumes', volumes],
    ['pairs', pairs],
    ['images', images],
  ])
  const app = await buildApp({ models, version: '0', log: (record) => records.push(record), ...options })
  try {
    await use(app, records)
  } finally {
    await app.close()
  }
}
const post = (bytes: Uint8Array, headers: Record<string, string> = {}, url = '/v1/predict') =>
  ({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/octet-stream', ...headers },
    payload: Buffer.from(bytes),
  }) as const
async function form(files: readonly (readonly [string, Uint8Array])[], url = '/v1/predict') {
  const data = new FormData()
  for (const [name, bytes] of files) data.append('file', new Blob([new Uint8Array(bytes)]), name)
  const request = new Response(data)
  return {
    method: 'POST',
    url,
    headers: { 'content-type': request.headers.get('content-type')! },
    payload: Buffer.from(await request.arrayBuffer()),
  } as const
}
const expectedMask = async (bytes: Uint8Array) => {
  const { mask } = await volumes.segment([bytes])
  return Buffer.from(await writeNifti(mask, { gzip: true }))
}

test('a volume comes back with its mask, which is the one predict writes byte for byte', async () => {
  await withApp({}, async (app, records) => {
    for (const bytes of [scan, gunzipSync(scan)]) {
      const response = await app.inject(post(bytes, { 'content-type': 'application/gzip' }))
      assert.equal(response.statusCode, 200, response.body)
      const { predictions, failed, package_digest } = PredictResult.parse(response.json())
      assert.deepEqual(failed, [])
      assert.equal(package_digest, volumes.digest)
      const [one] = predictions
      assert.ok(Buffer.from(one!.mask_base64!, 'base64').equals(await expectedMask(scan)))
      assert.equal(one!.views_png_base64, undefined)
      assert.deepEqual(one!.volumes_ml, (await volumes.segment([scan])).volumes_ml)
      assert.ok(one!.volumes_ml!.body! > 0)
    }
    assert.equal(records[0]!.inputs!.length, 1)
    assert.equal(records[0]!.model, 'volumes')
  })
})

test('Accept: application/gzip gives the mask itself, with digest, volumes and warnings in headers', async () => {
  const models = new Map([['volumes', { ...volumes, warnings: ['Nur für Versuche.'] }]])
  await withApp({ models }, async (app) => {
    for (const accept of ['application/gzip', 'application/octet-stream;q=0.9']) {
      const response = await app.inject(post(scan, { accept }))
      assert.equal(response.statusCode, 200)
      assert.equal(response.headers['content-type'], 'application/gzip')
      assert.ok(response.rawPayload.equals(await expectedMask(scan)))
      assert.equal(response.headers['content-disposition'], 'attachment; filename="image.nii.gz"')
      assert.equal(response.headers['x-package-digest'], volumes.digest)
      assert.match(response.headers['x-input-sha256'] as string, /^[0-9a-f]{64}$/)
      assert.deepEqual(Object.keys(JSON.parse(response.headers['x-volumes-ml'] as string)), ['body', 'tail'])
      assert.deepEqual(JSON.parse(response.headers['x-warnings'] as string), ['Nur für Versuche.'])
    }
    const json = await app.inject(post(scan, { accept: 'application/json, application/octet-stream' }))
    assert.equal(PredictResult.parse(json.json()).predictions.length, 1)
    const failed = await app.inject(post(png, { accept: 'application/gzip' }))
    assert.equal(failed.statusCode, 422)
    assert.equal(PredictResult.parse(failed.json()).failed.length, 1)
  })
})

test('of a series the DICOM Segmentation alone names the patient: no other part of an answer, no log line', async () => {
  const series = zipSync(Object.fromEntries(seriesFiles(0).map((bytes, k) => [`one/I${k}`, bytes])))
  const spec = { ...TINY_SCORED_SPEC, channels: 1, intensity: [{ kind: 'zscore' as const }] }
  await writeTinyPackage(join(scratch, 'scores'), { volumes: spec })
  const scores = await loadPackage(join(scratch, 'scores'), { threads: 1 })
  const models = new Map<string, Served>([
    ['volumes', volumes],
    ['scores', scores],
  ])
  await withApp({ models }, async (app, records) => {
    const nobody = (text: string) => {
      for (const one of identifiersOf(1)) assert.ok(!text.includes(one), one)
    }
    for (const name of models.keys()) {
      const url = `/v1/models/${name}/predict?views=true`
      const response = await app.inject(post(series, { 'content-type': 'application/zip' }, url))
      assert.equal(response.statusCode, 200, response.body)
      const { predictions, ...rest } = PredictResult.parse(response.json())
      const [{ mask_dicom_base64, mask_base64, ...said }] = predictions as [PredictResult['predictions'][0]]
      nobody(JSON.stringify([rest, said, response.headers]))
      if (name === 'scores') continue
      assert.ok(Buffer.from(mask_dicom_base64!, 'base64').toString('latin1').includes(identity(0).name))
      nobody(gunzipSync(Buffer.from(mask_base64!, 'base64')).toString('latin1'))
      const file = await app.inject(
        post(series, { 'content-type': 'application/zip', accept: 'application/gzip' }, url),
      )
      nobody(JSON.stringify(file.headers) + gunzipSync(file.rawPayload).toString('latin1'))
    }
    nobody(JSON.stringify(records))
    // What cannot be read is told without saying whose it is.
    const cut = zipSync({ 'one/I0': seriesFiles(0)[0]!.subarray(0, 400) })
    const failed = await app.inject(post(cut, { 'content-type': 'application/zip' }))
    assert.equal(failed.statusCode, 422)
    nobody(failed.body)
  })
  await scores.close()
})

test('two cases in one archive are two predictions; as one file they are refused', async () => {
  await withApp({}, async (app) => {
    const archive = zipSync({
      'a/scan.nii.gz': scan,
      'b/scan.nii.gz': other,
      'readme.txt': new Uint8Array(5),
    })
    const response = await app.inject(post(archive, { 'content-type': 'application/zip' }))
    const { predictions } = PredictResult.parse(response.json())
    assert.deepEqual(
      predictions.map((p) => [p.case_id, p.file, p.mask]),
      [
        ['a_scan', 'scan.nii.gz', 'a_scan.nii.gz'],
        ['b_scan', 'scan.nii.gz', 'b_scan.nii.gz'],
      ],
    )
    assert.ok(Buffer.from(predictions[1]!.mask_base64!, 'base64').equals(await expectedMask(other)))
    const refused = await app.inject(post(archive, { accept: 'application/gzip' }))
    assert.equal(refused.statusCode, 406)
    assert.equal(ServeError.parse(refused.json()).code, 'several_masks')
  })
})

test('files of one name, archives and volumes go together in a form', async () => {
  await withApp({}, async (app) => {
    const archive = zipSync({ '../../out.nii.gz': scan })
    const body = await form([
      ['scan.nii.gz', scan],
      ['scan.nii.gz', other],
      ['C:\\data\\more.zip', archive],
      ['empty.zip', zipSync({ 'notes.txt': new Uint8Array(3) })],
    ])
    const { predictions, failed } = PredictResult.parse((await app.inject(body)).json())
    assert.deepEqual(
      predictions.map((p) => p.mask),
      ['scan.nii.gz', '2_scan.nii.gz', 'out.nii.gz'],
    )
    assert.deepEqual(
      failed.map((f) => f.file),
      ['empty.zip'],
    )
    assert.match(failed[0]!.reason, /holds no volume/)
  })
})

test('a DICOM series is one case, zipped or sent instance by instance, its name no path', async () => {
  const { files, plan } = obliqueSeries()
  const { mask } = await volumes.segment(files)
  const expected = Buffer.from(await writeNifti(mask, { gzip: true }))
  const named = files.map((bytes, i) => [`${i}`, bytes] as const)
  const zipped = zipSync({
    DICOMDIR: files[0]!,
    ...Object.fromEntries(named.map(([name, bytes]) => [`../doe/series 3/${name}`, bytes])),
  })
  await withApp({}, async (app) => {
    for (const [request, name] of [
      [post(zipped, { 'content-type': 'application/zip' }), 'series 3'],
      [await form([['scan.zip', zipSync(Object.fromEntries(named))]]), 'scan'],
      [await form(named), 'series'],
    ] as const) {
      const response = await app.inject(request)
      const { predictions, failed } = PredictResult.parse(response.json())
      assert.deepEqual(failed, [])
      assert.deepEqual(
        predictions.map((p) => [p.case_id, p.file]),
        [[name, name]],
      )
      assert.ok(Buffer.from(predictions[0]!.mask_base64!, 'base64').equals(expected))
      assert.doesNotMatch(response.body, /doe/)
    }
    const headers = { 'content-type': 'application/zip', accept: 'application/dicom' }
    const segmentation = await app.inject(post(zipped, headers))
    assert.equal(segmentation.headers['content-type'], 'application/dicom')
    assert.match(segmentation.headers['content-disposition'] as string, /"series_3\.seg\.dcm"/)
    const read = await readSegmentation(segmentation.rawPayload, plan, { body: 2, tail: 5 })
    assert.deepEqual(read.volume.data, mask.data)
    const none = await app.inject(post(scan, { accept: 'application/dicom' }))
    assert.deepEqual([none.statusCode, ServeError.parse(none.json()).code], [406, 'no_dicom_mask'])
    const gap = await app.inject(await form(named.filter((_, i) => i !== 2)))
    assert.equal(gap.statusCode, 422)
    assert.match(PredictResult.parse(gap.json()).failed[0]!.reason, /missing|uneven|gap|apart/i)
  })
})

test('channels of a case, sent as files or in an archive, are one case', async () => {
  await withApp({}, async (app) => {
    const url = '/v1/models/pairs/predict'
    const files = { 'p1_0001.nii.gz': await shifted(scan), 'p1_0000.nii.gz': scan }
    for (const request of [
      await form(Object.entries(files), url),
      post(zipSync(files), { 'content-type': 'application/zip' }, url),
    ]) {
      const { predictions, failed } = PredictResult.parse((await app.inject(request)).json())
      assert.deepEqual(failed, [])
      assert.deepEqual(
        predictions.map((p) => p.case_id),
        ['p1'],
      )
      const { mask } = await pairs.segment([scan, files['p1_0001.nii.gz']])
      const expected = Buffer.from(await writeNifti(mask, { gzip: true }))
      assert.ok(Buffer.from(predictions[0]!.mask_base64!, 'base64').equals(expected))
    }
    const gap = await app.inject(
      await form(Object.entries({ 'p1_0000.nii.gz': scan, 'p1_0002.nii.gz': scan }), url),
    )
    assert.match(PredictResult.parse(gap.json()).failed[0]!.reason, /there is none for _0001/)
    const alone = await app.inject(post(scan, {}, url))
    assert.equal(alone.statusCode, 422)
    assert.match(PredictResult.parse(alone.json()).failed[0]!.reason, /has 1 channel; 2 are expected/)
  })
})

test('what cannot be segmented is 422 with a reason, and the server goes on', async () => {
  await withApp({}, async (app) => {
    const flat = gunzipSync(scan)
    const huge = Buffer.from(flat)
    for (const axis of [0, 1, 2]) huge.writeInt16LE(30_000, 42 + 2 * axis)
    const wide = Buffer.from(flat)
    for (const axis of [0, 1, 2]) wide.writeFloatLE(3000, 280 + 20 * axis)
    const nan = Buffer.from(flat)
    nan.writeFloatLE(Number.NaN, nan.length - 4)
    const cases: [string, Uint8Array, RegExp][] = [
      ['a PNG', png, /NIfTI/],
      ['text', Buffer.from('hello'), /NIfTI/],
      ['a truncated gzip', scan.subarray(0, scan.length / 2), /cut short|truncated|damaged|unexpected end/i],
      ['a gzip of nothing', gzipSync(''), /NIfTI|short/i],
      ['NaN voxels', nan, /NaN/],
      ['a size that its bytes do not have', huge, /takes about .* GB to segment|cut short|bytes/],
      ['a size that its gzip may have', gzipSync(huge), /takes about .* GB to segment/],
      ['voxels of three metres', wide, /takes about .* GB to segment/],
      ['an encrypted archive', encrypted(zipSync({ 'a.nii': flat })), /encrypted/],
      ['a cut archive', zipSync({ 'a.nii': flat }).subarray(0, 900), /damaged or cut short/],
    ]
    for (const [what, bytes, reason] of cases) {
      const response = await app.inject(post(bytes))
      assert.equal(response.statusCode, 422, `${what}: ${response.body.slice(0, 300)}`)
      const { failed } = PredictResult.parse(response.json())
      assert.equal(failed.length, 1, what)
      assert.match(failed[0]!.reason, reason, what)
    }
    assert.equal((await app.inject(post(scan))).statusCode, 200)
  })
})

test('a volume sent to a model of images has a reason too', async () => {
  await withApp({}, async (app) => {
    for (const [bytes, reason] of [
      [scan, /gzip-compressed.*reads 2D images/s],
      [gunzipSync(scan), /NIfTI/],
      [zipSync({ 'a.nii.gz': scan }), /zip|not an image/i],
    ] as const) {
      const response = await app.inject(post(bytes, {}, '/v1/predict?model=images'))
      assert.equal(response.statusCode, 422)
      assert.match(PredictResult.parse(response.json()).failed[0]!.reason, reason)
    }
    const scored = await app.inject(post(png, { accept: 'application/gzip' }, '/v1/models/images/predict'))
    assert.deepEqual(Object.keys(PredictResult.parse(scored.json()).predictions[0]!.scores), [
      'nodule',
      'effusion',
    ])
  })
})

test('volumes may be larger than images, whether or not the length is said before', async () => {
  const limits = { maxBodyBytes: 20_000, maxVolumeBytes: 60_000 }
  await withApp(limits, async (app) => {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const url = app.listeningOrigin
    const send = (path: string, size: number, isStreamed: boolean) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: isStreamed ? new Blob([new Uint8Array(size)]).stream() : new Uint8Array(size),
        ...(isStreamed && { duplex: 'half' }),
      } as RequestInit)
    for (const [path, most] of [
      ['/v1/predict', 60_000],
      ['/v1/models/volumes/predict', 60_000],
      ['/v1/predict?model=images', 20_000],
      ['/v1/models/images/predict', 20_000],
    ] as const)
      for (const isStreamed of [false, true]) {
        assert.equal((await send(path, most, isStreamed)).status, 422, `${path} ${isStreamed}`)
        const refused = await send(path, most + 1, isStreamed)
        assert.equal(refused.status, 413, `${path} ${isStreamed}`)
        assert.match(
          ServeError.parse(await refused.json()).error,
          new RegExp(`larger than 0\\.0${most / 10_000} MB`),
        )
      }
  })
})

test('GET /v1/models says what each kind takes and gives', async () => {
  await withApp({}, async (app) => {
    const { models } = ServedModels.parse((await app.inject('/v1/models')).json())
    assert.deepEqual(
      models.map(({ name, task }) => [name, task]),
      [
        ['volumes', 'segment'],
        ['pairs', 'segment'],
        ['images', 'classify'],
      ],
    )
    const [described] = models
    assert.ok(described?.task === 'segment')
    assert.deepEqual(
      described.structures.map(({ name, values }) => [name, values]),
      [
        ['body', [2]],
        ['tail', [5]],
      ],
    )
    assert.deepEqual(described.input, {
      channels: 1,
      orientation: 'RAS',
      spacing_mm: [2, 1.5, 1.2],
      patch_size: [16, 20, 12],
      formats: ['.nii', '.nii.gz', '.zip of these or of a DICOM series'],
    })
  })
})

test('views are a PNG of three slices, for an empty mask too', async () => {
  await withApp({}, async (app) => {
    const volume = await readNifti(scan)
    const blank = await writeNifti({ ...volume, data: new Float32Array(volume.data.length) }, { gzip: true })
    for (const bytes of [scan, blank]) {
      const response = await app.inject(post(bytes, {}, '/v1/predict?views=true'))
      const [one] = PredictResult.parse(response.json()).predictions
      const view = Buffer.from(one!.views_png_base64!, 'base64')
      assert.deepEqual([view.readUInt32BE(16), view.readUInt32BE(20)], [912, 300])
    }
  })
})

async function shifted(bytes: Uint8Array): Promise<Uint8Array> {
  const volume = await readNifti(bytes)
  return writeNifti(
    { ...volume, data: Float32Array.from(volume.data, (v, i) => v + (i % 97)) },
    { gzip: true },
  )
}

/** With the flag of an encrypted entry set in both of its headers. */
function encrypted(archive: Uint8Array): Uint8Array {
  const copy = Buffer.from(archive)
  copy.writeUInt16LE(1, 6)
  copy.writeUInt16LE(1, copy.indexOf('PK\u0001\u0002', 0, 'latin1') + 8)
  return copy
}

test('a model of 2D images takes uploads of them, alone or zipped, and gives PNG masks of their size', async () => {
  await writeTinySegmenter(join(scratch, 'slices'), TINY_IMAGE)
  const slices = await loadSegmenter(join(scratch, 'slices'), { threads: 1 })
  try {
    await withApp({ models: new Map([['slices', slices]]) }, async (app) => {
      const [tall, wide] = await Promise.all(
        (['png', 'jpeg'] as const).map((format, n) => encodeRaster(drawnImage(n, 3).image, format)),
      )
      const sizeOf = async (bytes: Uint8Array) => {
        const { raster } = await decodeImage(bytes, { exif_orientation: true })
        return [raster.height, raster.width, raster.channels]
      }
      const zip = zipSync({ 'tall.png': tall!, 'wide.jpg': wide!, 'notes.txt': new Uint8Array(9) })
      const response = await app.inject(
        await form(
          [
            ['both.zip', zip],
            ['scan.nii.gz', scan],
          ],
          '/v1/predict?views=true',
        ),
      )
      const { predictions, failed } = PredictResult.parse(response.json())
      assert.deepEqual(
        predictions.map(({ mask }) => mask),
        ['tall.png', 'wide.png'],
      )
      assert.match(failed[0]!.reason, /is a volume \(nifti\); 2D images are expected/)
      const masks = predictions.map((one) => Buffer.from(one.mask_base64!, 'base64'))
      assert.deepEqual(await Promise.all(masks.map(sizeOf)), [
        [38, 52, 1],
        [38, 55, 1],
      ])
      assert.deepEqual(Object.keys(predictions[0]!.areas_px!), ['body', 'tail'])
      assert.equal(predictions[0]!.volumes_ml, undefined)
      assert.deepEqual(await sizeOf(Buffer.from(predictions[0]!.views_png_base64!, 'base64')), [300, 300, 3])

      const alone = await app.inject(post(tall!, { 'content-type': 'image/png', accept: 'image/png' }))
      assert.equal(alone.headers['content-type'], 'image/png')
      assert.ok(alone.rawPayload.equals(masks[0]!), 'the same mask, as the body')
      assert.deepEqual(JSON.parse(alone.headers['x-areas-px'] as string), predictions[0]!.areas_px)
      const gzip = await app.inject(post(tall!, { accept: 'application/gzip' }))
      assert.deepEqual([gzip.statusCode, ServeError.parse(gzip.json()).code], [406, 'no_such_mask'])
      const [model] = ServedModels.parse((await app.inject('/v1/models')).json()).models
      assert.ok(model!.task === 'segment' && model!.input.distance_unit === 'px')
      assert.ok(model!.input.formats.includes('png') && !model!.input.formats.includes('.nii'))
    })
  } finally {
    await slices.close()
  }
})
