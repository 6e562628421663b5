/** `RGB, grey in content`: prepare counts files by what they store, and channels are chosen by what they show. */
export function colourText({
  colour,
  is_stored_as_rgb,
}: {
  colour: 'grey' | 'rgb'
  is_stored_as_rgb: boolean
}): string {
  if (colour === 'rgb') return 'RGB'
  return is_stored_as_rgb ? 'RGB, grey in content' : 'grey'
}
