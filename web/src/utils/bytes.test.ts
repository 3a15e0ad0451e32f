import { expect, it } from 'vitest'
import { bytesText } from './bytes'

it.each([
  [0, '0 B'],
  [512, '512 B'],
  [1500, '1.5 kB'],
  [20_400_000, '20 MB'],
  [3e15, '3000 TB']
])('%i', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text)
})
