import { expect, it } from 'vitest'
import { mask } from './mask'

it.each([
  ['sk-proj-0123456789abcdef', 'sk-p••••cdef'],
  ['short-secret-15', '••••••••'],
  ['', '••••••••'],
  ['sk-a****wxyz', 'sk-a****wxyz']
])('%s', (secret, shown) => {
  expect(mask(secret)).toBe(shown)
})
