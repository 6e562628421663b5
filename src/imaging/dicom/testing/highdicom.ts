import { globSync } from 'node:fs'
import { join } from 'node:path'

const packages = globSync('lib/python*/site-packages/{highdicom,pydicom}-*.dist-info', {
  cwd: join(import.meta.dirname, '../../../../.venv'),
})

/** For node:test: false when pydicom and highdicom can be asked, else the reason why they are not. */
export const skipWithoutHighdicom: false | string =
  packages.length === 2
    ? false
    : 'no pydicom and highdicom in .venv: run "npm run setup" to compare with them'
