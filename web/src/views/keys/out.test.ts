import { describe, expect, it } from 'vitest'
import { countdown, isTroubled, outOf } from './out'

const now = Date.parse('2026-02-08T10:00:00Z')
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString()
const key = {
  status: 'active' as const,
  disabled_until: null,
  resting_until: null,
  consecutive_failures: 0,
  last_class: null
}

describe('a key that is out', () => {
  it('comes back when the later of its clocks ends', () => {
    expect(outOf(key, now)).toBeNull()
    expect(outOf({ ...key, resting_until: at(20) }, now)).toMatchObject({ kind: 'rests', until: at(20) })
    const both = { ...key, status: 'disabled' as const, disabled_until: at(60), resting_until: at(20) }
    expect(outOf(both, now)).toMatchObject({ kind: 'disabled', until: at(60) })
  })

  it('is not when its clocks have ended, or mean nothing in its state', () => {
    expect(outOf({ ...key, resting_until: at(0) }, now)).toBeNull()
    expect(outOf({ ...key, disabled_until: at(60) }, now)).toBeNull()
    expect(outOf({ ...key, resting_until: '0001-01-01T00:00:00Z' }, now)).toBeNull()
  })

  it('is explained, as is one that fails; one that was never tried is not', () => {
    expect(isTroubled(key, now)).toBe(false)
    expect(isTroubled({ ...key, status: 'pending' }, now)).toBe(false)
    expect(isTroubled({ ...key, status: 'pending', last_class: 'key_invalid' }, now)).toBe(true)
    expect(isTroubled({ ...key, consecutive_failures: 1 }, now)).toBe(true)
    expect(isTroubled({ ...key, status: 'invalid' }, now)).toBe(true)
    expect(isTroubled({ ...key, resting_until: at(1) }, now)).toBe(true)
  })

  it('counts down', () => {
    expect([-5, 1, 7000, 59_001, 725_000, 7_390_000, 93_600_000].map(countdown)).toEqual([
      '0:00',
      '0:01',
      '0:07',
      '1:00',
      '12:05',
      '2:03:10',
      '1 d 2 h'
    ])
  })
})
