// @ts-nocheck It runs in a browser; the project's types are those of Node.
// The plain page: sends dropped images to this server, shows scores, decisions and warnings. No dependencies.

const byId = (id) => document.getElementById(id)
const state = { models: [], sent: 0 }

const { models } = await (await fetch('/v1/models')).json()
state.models = models
for (const model of models) byId('model').append(new Option(`${model.name} ${model.version}`, model.name))
byId('choice').hidden = models.length < 2
byId('model').addEventListener('change', showModel)
showModel()

byId('files').addEventListener('change', (event) => {
  score([...event.target.files])
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
document.addEventListener('drop', (event) => score([...event.dataTransfer.files]))

function chosen() {
  return state.models.find((model) => model.name === byId('model').value)
}

function showModel() {
  const model = chosen()
  byId('synthetic').hidden = !model.synthetic
  byId('formats').textContent = model.input.formats.join(', ').toUpperCase()
  const [rows, columns] = model.input.size
  const facts = {
    name: `${model.name}, version ${model.version}, ${model.status}`,
    certificate: model.certified ? 'passed' : 'not passed: do not rely on the scores',
    labels: model.labels.join(', '),
    input: `resized to ${rows} × ${columns}, ${model.input.channels === 1 ? 'grey' : 'colour'}`,
    package: model.package_digest,
  }
  byId('facts').replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) => [element('dt', term), element('dd', text)]),
  )
}

/** Sends the images one after the other, so that each result shows as soon as it is there. */
async function score(files) {
  const model = chosen()
  let failed = 0
  for (const [i, file] of files.entries()) {
    byId('status').textContent = `Scoring ${i + 1} of ${files.length}: ${file.name}`
    const result = await resultOf(file, model)
    if (result.querySelector('.failed')) failed++
    byId('results').prepend(result)
  }
  const scored = files.length - failed
  const done = scored === 1 ? '1 image scored' : `${scored} images scored`
  byId('status').textContent =
    failed === 0 ? `${done}.` : `${done}, ${failed} not: the reason stands beside the file.`
}

async function resultOf(file, model) {
  const form = new FormData()
  form.append('file', file, file.name)
  try {
    const response = await fetch(`/v1/models/${encodeURIComponent(model.name)}/predict`, {
      method: 'POST',
      body: form,
    })
    const body = await response.json()
    if (body.error) return card(file, element('p', body.error, 'failed'))
    const [prediction] = body.predictions
    if (!prediction) return card(file, element('p', body.failed[0].reason, 'failed'))
    return card(file, ...describe(prediction, model))
  } catch {
    return card(file, element('p', 'The server cannot be reached.', 'failed'))
  }
}

function card(file, ...content) {
  const article = document.createElement('article')
  const text = document.createElement('div')
  text.append(element('h3', file.name), ...content)
  // Browsers know TIFF as an image too; a table or a text has no preview to speak of.
  if (isImage(file)) article.append(preview(file))
  article.append(text)
  return article
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
  const parts = [table]
  if (prediction.warnings.length > 0) {
    const list = element('ul', '', 'warnings')
    list.append(...prediction.warnings.map((warning) => element('li', warning)))
    parts.push(list)
  }
  const made = `Research use, not a diagnosis. Image sha256 ${prediction.input_sha256}`
  parts.push(element('p', made, 'provenance'))
  return parts
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
