import {
  findNodeAtLocation,
  parseTree,
  printParseErrorCode,
  type JSONPath,
  type Node,
  type ParseError
} from 'jsonc-parser'

/** Something wrong with a text, and where: line and column from 1. */
export interface Problem {
  line: number
  column: number
  message: string
}

/** What an error of JSON is, for the texts of `json.…`. */
export type JsonError = 'comma' | 'colon' | 'value' | 'name' | 'quote' | 'bracket' | 'surplus' | 'invalid'

const ERRORS: Record<string, JsonError> = {
  CommaExpected: 'comma',
  ColonExpected: 'colon',
  ValueExpected: 'value',
  PropertyNameExpected: 'name',
  UnexpectedEndOfString: 'quote',
  CloseBraceExpected: 'bracket',
  CloseBracketExpected: 'bracket',
  EndOfFileExpected: 'surplus'
}

export interface ParsedJson {
  /** Undefined when the text is no JSON. */
  value: unknown
  /** The first thing that is wrong, as those after it follow from it. */
  error?: { code: JsonError; line: number; column: number }
  root?: Node
}

/** Reads JSON as the standard has it, and says where it breaks. */
export function parseJson(text: string): ParsedJson {
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false })
  const first = errors[0]
  if (first) {
    const code = ERRORS[printParseErrorCode(first.error)] ?? 'invalid'
    return { value: undefined, error: { code, ...placeOf(text, first.offset) }, root }
  }
  try {
    return { value: JSON.parse(text), root }
  } catch {
    return { value: undefined, error: { code: 'invalid', line: 1, column: 1 }, root }
  }
}

/** Line and column of an offset, both from 1. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return { line, column: offset - before.lastIndexOf('\n') }
}

/** Where the member at `path` stands, else the nearest one around it. */
export function placeOfPath(text: string, root: Node | undefined, path: JSONPath): { line: number; column: number } {
  for (let length = path.length; root && length > 0; length -= 1) {
    const node = findNodeAtLocation(root, path.slice(0, length))
    if (node) return placeOf(text, (node.parent?.type === 'property' ? node.parent : node).offset)
  }
  return { line: 1, column: 1 }
}

/** `config.rules[0].action` → `['config', 'rules', 0, 'action']`. */
export function pathOf(field: string): JSONPath {
  return [...field.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index))
}
