import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { findPython } from '../python/environment.ts'
import { quietIo } from './io.ts'
import { packageOnnx } from './package_onnx.ts'

// Another team's script: timm, Pillow, torchvision-like preprocessing, torch.onnx. It knows nothing of fiducial.
const ELSEWHERE = `
import csv, sys
import numpy as np, timm, torch
from PIL import Image

torch.manual_seed(0)
torch.set_num_threads(1)
rng = np.random.default_rng(0)
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

def load(path):
    image = Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    x = torch.from_numpy(np.asarray(image).copy()).float() / 255
    return ((x - mean) / std).permute(2, 0, 1)

names, truth = [], []
for i in range(24):
    height, width = rng.integers(70, 200, 2)
    y, x = np.mgrid[0:height, 0:width] / 64
    image = 90 + 50 * np.sin(5 * x + i)[..., None] * [1, 0.4, 0.7] + rng.normal(0, 20, (height, width, 3))
    if i % 2:
        image[height // 4 : height // 2, width // 4 : width // 2] += [90, 10, 40]
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(f"{i}.png")
    names.append(f"{i}.png")
    truth.append(i % 2)

model = timm.create_model("resnet10t", num_classes=1)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
batch, target = torch.stack([load(name) for name in names]), torch.tensor(truth).float()[:, None]
for _ in range(12):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

model.eval()
with torch.no_grad():
    scores = torch.cat([torch.sigmoid(model(x[None])) for x in batch])[:, 0]
with open("cases.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["file", "lesion", "truth_lesion"])
    table.writerows(zip(names, scores.tolist(), truth))
torch.onnx.export(model, (batch[:2],), "m.onnx", dynamo=True, verbose=False, external_data=False,
                  input_names=["x"], output_names=["y"], dynamic_shapes=({0: torch.export.Dim("batch")},))
`
const SPEC = {
  name: 'lesion-elsewhere',
  labels: ['lesion'],
  exclusive: false,
  activation: 'sigmoid',
  preprocess: {
    size: 64,
    channels: 3,
    fit: 'squash',
    resample: 'bilinear',
    antialias: true,
    window: null,
    exif_orientation: false,
    flip: [],
    channel_order: 'rgb',
    stain: null,
  },
  input: { range: [0, 1], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  operating_point: { maximize: 'youden' },
}

const python = await findPython().catch(() => null)
const skip = python === null ? 'the Python environment is not set up' : false

describe('a timm model trained elsewhere and exported to ONNX', { skip }, () => {
  let dir = ''
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'fiducial-timm-'))
    await writeFile(join(dir, 'train.py'), ELSEWHERE)
    await promisify(execFile)(python!, ['train.py'], { cwd: dir })
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function packaged(name: string, spec: object) {
    const path = join(dir, `${name}.yaml`)
    await writeFile(path, stringify(spec))
    return packageOnnx(
      {
        onnx: join(dir, 'm.onnx'),
        preprocess: path,
        reference: join(dir, 'cases.csv'),
        out: join(dir, name),
      },
      quietIo(),
    )
  }

  test('is packaged and certified: raw bytes give the scores that it gave there', async () => {
    const { certificate } = await packaged('right', SPEC)
    assert.deepEqual(
      certificate.checks.filter((check) => !check.passed),
      [],
    )
    const found = certificate.checks.find((check) => check.name === 'reference_served_difference')!
    assert.ok(Number(found.value) < 1e-5, `|Δp| ${found.value}`)
  })
  const wrong: [string, object][] = [
    ['antialias-off', { ...SPEC, preprocess: { ...SPEC.preprocess, antialias: false } }],
    ['bgr', { ...SPEC, preprocess: { ...SPEC.preprocess, channel_order: 'bgr' } }],
    ['mean', { ...SPEC, input: { ...SPEC.input, mean: [0.5, 0.5, 0.5] } }],
  ]
  for (const [name, spec] of wrong)
    test(`is not certified with a wrong spec: ${name}`, async () => {
      const { certificate } = await packaged(name, spec)
      assert.equal(certificate.passed, false)
      const check = certificate.checks.find(({ name: of }) => of === 'reference_file_batch_1_difference')!
      assert.equal(check.passed, false)
    })
})
