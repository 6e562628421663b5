// Emscripten builds, which come without types. `imports` in package.json maps both names: WebAssembly in Node, and
// builds that need no second file in a browser. Their users say what they make.

declare module '#openjpeg' {
  const factory: unknown
  export default factory
}

declare module '#charls' {
  const factory: unknown
  export default factory
}
