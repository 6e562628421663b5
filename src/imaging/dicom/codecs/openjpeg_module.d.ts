// An Emscripten build, which comes without types. `imports` in package.json maps the name: WebAssembly in Node, and a
// build that needs no second file in a browser.

declare module '#openjpeg' {
  const factory: unknown
  export default factory
}
