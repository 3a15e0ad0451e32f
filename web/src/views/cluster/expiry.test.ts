import { expect, it } from 'vitest'
import { expiryOf } from './expiry'

it('a token ends after its span, at its time, or never', () => {
  const now = Date.parse('2026-01-31T12:00:00Z')
  expect(expiryOf(7, '', now)).toBe('2026-02-07T12:00:00.000Z')
  expect(expiryOf(0, '2026-02-01T00:00:00Z', now)).toBe(null)
  expect(expiryOf('exact', '2026-02-01T00:00:00Z', now)).toBe('2026-02-01T00:00:00Z')
})
