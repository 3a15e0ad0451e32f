/** One member that differs, as texts. Undefined = it was not there. */
export interface Difference {
  name: string
  before?: string
  after?: string
}

type Members = Record<string, unknown>

/** What differs between two states, members of inner objects by their path: `config.max_retries`. */
export function differences(before: Members | null, after: Members | null): Difference[] {
  const [was, is] = [flat(before), flat(after)]
  const names = [...new Set([...was.keys(), ...is.keys()])]
  return names
    .map(name => ({ name, before: was.get(name), after: is.get(name) }))
    .filter(({ before: old, after: now }) => old !== now)
}

function flat(value: Members | null, prefix = '', into = new Map<string, string>()): Map<string, string> {
  for (const [name, inner] of Object.entries(value ?? {})) {
    const path = prefix + name
    if (isObject(inner) && Object.keys(inner).length > 0) flat(inner, `${path}.`, into)
    else if (inner !== null && !isEmptyObject(inner)) into.set(path, textOf(inner))
  }
  return into
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmptyObject(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0
}

/** Texts as they are, lists of simple things in lines, everything else as JSON. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.length > 0) {
    return value.map(one => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n')
  }
  return JSON.stringify(value)
}
