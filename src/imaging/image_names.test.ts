import assert from 'node:assert/strict'
import { test } from 'node:test'
import { extensionNote, isImageName, withoutExtension } from './image_names.ts'

test('only an image extension is taken off a name; other dots are part of it', () => {
  for (const [path, stem] of [
    ['a/1.PNG', 'a/1'],
    ['scan.v2.jpeg', 'scan.v2'],
    ['1.2.840.113', '1.2.840.113'],
    ['scan.dcm', 'scan.dcm'],
    ['a/.png', 'a/.png'],
  ] as const)
    assert.equal(withoutExtension(path), stem)
  assert.ok(isImageName('x.TIFF') && !isImageName('x.bmp') && !isImageName('png'))
})

test('a name that promises another format earns a note; a dot in a name does not', () => {
  assert.match(extensionNote('images/scan.PNG', 'jpeg')!, /ends in \.png but the file is JPEG/)
  for (const name of ['images/scan.JPG', 'images.v2/scan', '1.2.840.113', 'scan.constructor'])
    assert.equal(extensionNote(name, 'jpeg'), null)
})
