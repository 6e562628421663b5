import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asTyped } from './as_typed.ts'
import { commands } from './registry.ts'

test('every verb is named as the program was started, and paths and prose are left', () => {
  for (const verb of Object.keys(commands))
    assert.equal(asTyped(`do: "fiducial ${verb} x"`, './fiducial'), `do: "./fiducial ${verb} x"`)
  for (const text of ['in /opt/fiducial run', 'a bug in fiducial: report it', './fiducial train'])
    assert.equal(asTyped(text, './fiducial'), text)
  assert.equal(
    asTyped('fiducial run a && fiducial runs list', '/my disk/fiducial'),
    "'/my disk/fiducial' run a && '/my disk/fiducial' runs list",
  )
})

test('a program that the shell finds by its name keeps it', () => {
  const [folder] = process.env.PATH!.split(':')
  for (const typed of [undefined, 'fiducial', `${folder}/fiducial`])
    assert.equal(asTyped('fiducial run', typed), 'fiducial run')
})
