import { expect, it } from 'vitest'
import { differences } from './diff'

it('what differs is told by its path', () => {
  const before = { description: '', config: { max_retries: 3, timeout: 9 }, sort: 1 }
  const after = { description: 'x', config: { max_retries: 5, timeout: 9 }, sort: 1, tags: ['a', 'b'] }
  expect(differences(before, after)).toEqual([
    { name: 'description', before: '', after: 'x' },
    { name: 'config.max_retries', before: '3', after: '5' },
    { name: 'tags', before: undefined, after: 'a\nb' }
  ])
})

it('what was made or taken away has one side only, and null is nothing', () => {
  expect(differences(null, { name: 'a', note: null })).toEqual([{ name: 'name', before: undefined, after: 'a' }])
  expect(differences({ name: 'a' }, null)).toEqual([{ name: 'name', before: 'a', after: undefined }])
  expect(differences({ config: {} }, { config: { a: true } })).toEqual([
    { name: 'config.a', before: undefined, after: 'true' }
  ])
  expect(differences(null, null)).toEqual([])
})

it('lists of objects stand one in a line', () => {
  expect(differences({ rules: [] }, { rules: [{ a: 1 }, { b: 2 }] })).toEqual([
    { name: 'rules', before: '[]', after: '{"a":1}\n{"b":2}' }
  ])
})
