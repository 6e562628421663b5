/**
 * Text with the commands in it as they can be typed here: `./fiducial train` where the launcher of a checkout was
 * started by its path, `fiducial train` where the shell finds it. What is written to files and as JSON says `fiducial`.
 *
 * @param typed how the program was started; the launcher says so
 */
export function asTyped(text: string, typed: string | undefined = process.env.FIDUCIAL_COMMAND): string {
  if (typed === undefined || typed === '' || isOnPath(typed)) return text
  const program = /^[\w./+@-]+$/.test(typed) ? typed : `'${typed.replaceAll("'", "'\\''")}'`
  return text.replace(COMMAND, () => program)
}

/** `fiducial` before a verb, a flag or a place for one, and no part of a path. */
const COMMAND =
  /(?<![\w/.-])fiducial(?= (?:init|inspect|run|prepare|train|evaluate|package|predict|serve|runs|--?[a-z]|<verb>)(?![\w-]*:))/g

function isOnPath(typed: string): boolean {
  const folder = typed.slice(0, Math.max(0, typed.lastIndexOf('/')))
  return folder === '' || (process.env.PATH ?? '').split(':').includes(folder)
}
