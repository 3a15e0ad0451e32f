import { expect, it } from 'vitest'
import { parseJson, pathOf, placeOfPath } from './json'

it.each([
  ['{"a": 1\n "b": 2}', 'comma', 2, 2],
  ['{"a" 1}', 'colon', 1, 6],
  ['{"a": }', 'value', 1, 7],
  ['{"a": 1,}', 'name', 1, 9],
  ['{"a": [1, 2}', 'comma', 1, 12],
  ['{"a": 1', 'bracket', 1, 8],
  ['{} {}', 'surplus', 1, 4],
  ['', 'value', 1, 1],
  ['{"a": 1} // no', 'invalid', 1, 10]
])('%j breaks at its place', (text, code, line, column) => {
  const { value, error } = parseJson(text)
  expect(value).toBeUndefined()
  expect(error).toEqual({ code, line, column })
})

it('JSON is read as it is', () => {
  expect(parseJson('{"a": [1, "b", null]}').value).toEqual({ a: [1, 'b', null] })
  const { value, error } = parseJson('null')
  expect([value, error]).toEqual([null, undefined])
})

it('members are found by their path, missing ones by what is around them', () => {
  const text = '{\n  "rules": [\n    {\n      "action": "x"\n    }\n  ]\n}'
  const { root } = parseJson(text)
  expect(pathOf('rules[0].action')).toEqual(['rules', 0, 'action'])
  expect(placeOfPath(text, root, pathOf('rules[0].action'))).toEqual({ line: 4, column: 7 })
  expect(placeOfPath(text, root, pathOf('rules[0].duration'))).toEqual({ line: 3, column: 5 })
  expect(placeOfPath(text, root, pathOf('interval'))).toEqual({ line: 1, column: 1 })
})
