/** `./keys.json` → `keys`. */
export function assemble(files: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(files).map(([path, texts]) => [path.replace(/^\.\/(.*)\.json$/, '$1'), texts])
  )
}
