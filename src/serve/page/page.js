// @ts-nocheck It runs in a browser; the project's types are those of Node.
// The plain page: sends dropped files to this server, shows scores or masks, decisions and warnings. No dependencies.

const byId = (id) => document.getElementById(id)
const state = { models: [] }

const { models } = await (await fetch('/v1/models')).json()
state.models = models
for (const model of models) byId('model').append(new Option(`${model.name} ${model.version}`, model.name))
byId('choice').hidden = models.length < 2
byId('model').addEventListener('change', showModel)
showModel()

byId('files').addEventListener('change', (event) => {
  send([...event.target.files])
  event.target.value = ''
})
for (const type of ['dragenter', 'dragover'])
  document.addEventListener(type, (event) => {
    event.preventDefault()
    byId('drop').classList.add('over')
  })
for (const type of ['dragleave', 'drop'])
  document.addEventListener(type, (event) => {
    event.preventDefault()
    byId('drop').classList.remove('over')
  })
document.addEventListener('drop', (event) => send([...event.dataTransfer.files]))

function chosen() {
  return state.models.find((model) => model.name === byId('model').value)
}

function isOfVolumes(model) {
  return drawsMasks(model) || model.input.size.length === 3
}

function drawsMasks(model) {
  return model.task === 'segment'
}

/** Each file is a 2D image, segmented by itself. */
function isOfSlices(model) {
  return isOfVolumes(model) && model.input.distance_unit === 'px'
}

function showModel() {
  const model = chosen()
  const isVolume = isOfVolumes(model) && !isOfSlices(model)
  const what = isVolume ? 'volumes' : 'images'
  byId('synthetic').hidden = !model.synthetic
  byId('what').textContent = what
  byId('files-heading').textContent = what[0].toUpperCase() + what.slice(1)
  byId('files').accept = isVolume
    ? '' // .nii.gz is no extension to a browser, and DICOM files often have none
    : 'image/png,image/jpeg,image/tiff,image/webp,.tif,.tiff'
  byId('formats').textContent = isVolume
    ? 'NIfTI (.nii, .nii.gz), DICOM files of one series, or either in a .zip'
    : model.input.formats.join(', ').toUpperCase()
  const facts = {
    name: `${model.name}, version ${model.version}, ${model.status}`,
    certificate: model.certified ? 'passed' : 'not passed: do not rely on the results',
    ...(drawsMasks(model) ? maskFacts(model) : scoreFacts(model)),
    package: model.package_digest,
  }
  byId('facts').replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) => [element('dt', term), element('dd', text)]),
  )
}

function scoreFacts(model) {
  const { labels, input } = model
  const sides = input.size.join(' × ')
  return {
    labels: labels.join(', '),
    input: isOfVolumes(model)
      ? `${gridOf(input)}, cropped or padded to ${sides} voxels`
      : `resized to ${sides}, ${input.channels === 1 ? 'grey' : 'colour'}`,
  }
}

function maskFacts({ structures, networks, input }) {
  const { patch_size: patch, distance_unit } = input
  const window =
    distance_unit === 'px' ? `${patch.slice(1).join(' × ')} pixels` : `${patch.join(' × ')} voxels`
  return {
    structures: structures.map(({ name }) => name).join(', '),
    input: `${gridOf(input)}, in windows of ${window}${networks > 1 ? `; ${networks} networks averaged` : ''}`,
  }
}

function gridOf({ channels, spacing_mm, distance_unit }) {
  const isFlat = distance_unit === 'px'
  const isWhole = spacing_mm === null || (isFlat && spacing_mm.every((px) => px === 1))
  const spacing = isFlat
    ? isWhole
      ? 'pixel for pixel'
      : `in steps of ${spacing_mm.slice(1).join(' × ')} pixels`
    : isWhole
      ? 'at their own spacing'
      : `at ${spacing_mm.join(' × ')} mm`
  return `${channels === 1 ? '1 channel' : `${channels} channels`} ${spacing}`
}

/** Sends the files one request after the other, so that each result shows as soon as it is there. */
async function send(files) {
  const model = chosen()
  const requests = requestsOf(files, model)
  let [done, failed] = [0, 0]
  for (const [i, group] of requests.entries()) {
    const shown = group.length === 1 ? group[0].name : `${group.length} files`
    const verb = drawsMasks(model) ? 'Segmenting' : 'Scoring'
    byId('status').textContent = `${verb} ${i + 1} of ${requests.length}: ${shown}`
    byId('status').classList.add('busy')
    const results = await resultsOf(group, model)
    for (const result of results) {
      if (result.querySelector('.failed')) failed++
      else done++
      byId('results').prepend(result)
    }
  }
  byId('status').classList.remove('busy')
  const noun = isOfVolumes(model) && !isOfSlices(model) ? 'volume' : 'image'
  const said = `${done} ${noun}${done === 1 ? '' : 's'} ${drawsMasks(model) ? 'segmented' : 'scored'}`
  byId('status').textContent =
    failed === 0 ? `${said}.` : `${said}, ${failed} not: the reason stands beside the file.`
}

/** What goes together: the channels of a case, and the instances of a series; else each file by itself. */
function requestsOf(files, model) {
  if (!isOfVolumes(model)) return files.map((file) => [file])
  if (isOfSlices(model) && (model.input.channels === 1 || model.input.channels === 3))
    return files.map((file) => [file])
  if (model.input.channels > 1) return files.length > 0 ? [files] : []
  const isWhole = (file) => /\.(nii|nii\.gz|zip)$/i.test(file.name)
  const instances = files.filter((file) => !isWhole(file))
  return [...files.filter(isWhole).map((file) => [file]), ...(instances.length > 0 ? [instances] : [])]
}

async function resultsOf(files, model) {
  const form = new FormData()
  for (const file of files) form.append('file', file, file.name)
  const [first] = files
  const views = drawsMasks(model) ? '?views=true' : ''
  try {
    const response = await fetch(`/v1/models/${encodeURIComponent(model.name)}/predict${views}`, {
      method: 'POST',
      body: form,
    })
    const body = await response.json()
    if (body.error) return [card(first.name, null, element('p', body.error, 'failed'))]
    const failed = body.failed.map(({ file, reason }) => card(file, null, element('p', reason, 'failed')))
    const made = body.predictions.map((one) =>
      drawsMasks(model)
        ? card(one.file, viewsOf(one, model), ...describeMask(one, model))
        : card(one.file, isImage(first) ? preview(first) : null, ...describe(one, model)),
    )
    if (!isOfVolumes(model) && failed.length > 0 && isImage(first)) failed[0].prepend(preview(first))
    return [...failed, ...made]
  } catch {
    return [card(first.name, null, element('p', 'The server cannot be reached.', 'failed'))]
  }
}

function card(name, picture, ...content) {
  const article = document.createElement('article')
  const text = document.createElement('div')
  text.append(element('h3', name), ...content)
  if (picture !== null) article.append(picture)
  if (picture?.classList.contains('views')) article.classList.add('wide')
  article.append(text)
  return article
}

/** Three slices with the mask, or an image with it; their text says what the colours are. */
function viewsOf({ file, views_png_base64 }, model) {
  const figure = element('figure', '', 'views')
  const image = new Image()
  image.alt = `Axial, coronal and sagittal slice of ${file} with its mask`
  image.src = `data:image/png;base64,${views_png_base64}`
  if (isOfSlices(model)) {
    image.alt = `${file} with its mask`
    figure.classList.add('single')
    figure.append(image)
    return figure
  }
  const captions = element('figcaption', '')
  captions.append(...['axial', 'coronal', 'sagittal'].map((plane) => element('span', plane)))
  figure.append(image, captions)
  return figure
}

function describeMask(prediction, model) {
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  const { areas_px, volumes_ml } = prediction
  for (const name of ['Structure', areas_px ? 'Area in pixels' : 'Volume in ml']) {
    const cell = element('th', name)
    cell.scope = 'col'
    head.append(cell)
  }
  const body = table.createTBody()
  for (const { name, colour } of model.structures) {
    const row = body.insertRow()
    const label = element('th', '')
    label.scope = 'row'
    const swatch = element('span', '', 'swatch')
    swatch.style.background = colour
    label.append(swatch, name)
    const size = (areas_px ?? volumes_ml)[name]
    const shown = areas_px ? String(size) : size.toFixed(size < 10 ? 3 : 1)
    row.append(label, element('td', size > 0 ? shown : 'none found', 'number'))
  }
  const { mask, mask_base64, mask_dicom, mask_dicom_base64 } = prediction
  const links = element('p', '', 'links')
  links.append(download(mask, mask_base64, areas_px ? 'image/png' : 'application/gzip'))
  if (mask_dicom) links.append(download(mask_dicom, mask_dicom_base64, 'application/dicom'))
  return [table, ...warningsOf(prediction), links, provenance(prediction, model)]
}

function download(name, base64, type) {
  const link = element('a', `Download ${name}`, 'button')
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  link.href = URL.createObjectURL(new Blob([bytes], { type }))
  link.download = name
  return link
}

const isImage = (file) => file.type.startsWith('image/') || /\.(png|jpe?g|tiff?|webp)$/i.test(file.name)

/** The image as the browser shows it; browsers show no TIFF, nor 16-bit values as the model sees them. */
function preview(file) {
  const box = element('div', '', 'preview')
  const image = new Image()
  image.alt = `Preview of ${file.name}`
  image.src = URL.createObjectURL(file)
  image.addEventListener('load', () => URL.revokeObjectURL(image.src))
  image.addEventListener('error', () => {
    URL.revokeObjectURL(image.src)
    box.replaceChildren(element('span', 'The browser cannot show this format.'))
  })
  box.append(image)
  return box
}

function describe(prediction, model) {
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  for (const name of ['Label', 'Score', 'From 0 to 1', 'Decision']) {
    const cell = element('th', name)
    cell.scope = 'col'
    head.append(cell)
  }
  const body = table.createTBody()
  for (const label of model.labels) body.append(scoreRow(label, prediction, model))
  return [table, ...warningsOf(prediction), provenance(prediction, model)]
}

function warningsOf({ warnings }) {
  if (warnings.length === 0) return []
  const list = element('ul', '', 'warnings')
  list.append(...warnings.map((warning) => element('li', warning)))
  return [list]
}

function provenance({ input_sha256 }, model) {
  const what = isOfVolumes(model) && !isOfSlices(model) ? 'Volume' : 'Image'
  return element('p', `Research use, not a diagnosis. ${what} sha256 ${input_sha256}`, 'provenance')
}

function scoreRow(label, prediction, model) {
  const score = prediction.scores[label]
  const threshold = prediction.operating_points[label]
  const found = prediction.decisions[label]
  const row = document.createElement('tr')
  row.classList.toggle('found', found === true)
  const name = element('th', label)
  name.scope = 'row'
  const bar = element('td', '', 'bar')
  bar.append(scoreBar(score, threshold))
  const decision = element('td', decisionText(found, threshold, model), 'decision')
  row.append(name, element('td', score.toFixed(3), 'number'), bar, decision)
  return row
}

function decisionText(found, threshold, model) {
  if (found === undefined) return 'no operating point'
  if (model.exclusive) return found ? 'most likely class' : ''
  return found ? `present (≥ ${threshold.toFixed(3)})` : `absent (< ${threshold.toFixed(3)})`
}

/** A bar from 0 to 1 with a stroke at the operating point. The number beside it says the same in text. */
function scoreBar(score, threshold) {
  const svg = svgElement('svg', { class: 'score', viewBox: '0 0 200 12', preserveAspectRatio: 'none' })
  svg.setAttribute('aria-hidden', 'true')
  svg.append(
    svgElement('rect', { class: 'track', x: 0, y: 1, width: 200, height: 10 }),
    svgElement('rect', { class: 'value', x: 0, y: 1, width: 200 * score, height: 10 }),
  )
  if (threshold !== undefined)
    svg.append(
      svgElement('line', { class: 'threshold', x1: 200 * threshold, x2: 200 * threshold, y1: 0, y2: 12 }),
    )
  return svg
}

function svgElement(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

function element(name, text, className = '') {
  const made = document.createElement(name)
  made.textContent = text
  if (className !== '') made.className = className
  return made
}
