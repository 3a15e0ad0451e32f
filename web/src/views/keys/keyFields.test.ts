import { describe, expect, it } from 'vitest'
import { changeOf, rebased, type KeyFields } from './keyFields'

const stored: KeyFields = { notes: 'a', weight: 1, priority: 0, upstream: 'https://a.test' }

describe('what a person decides about a key', () => {
  it('is sent as far as it differs', () => {
    expect(changeOf(stored, stored)).toEqual({})
    expect(changeOf({ ...stored, notes: 'b', weight: 5, upstream: null }, stored)).toEqual({
      weight: 5,
      upstream: null
    })
    expect(changeOf({ ...stored, weight: null, priority: -3 }, stored)).toEqual({ priority: -3 })
  })

  it('keeps what was typed when the key is loaded again, and shows what others changed elsewhere', () => {
    const typed = { ...stored, notes: 'mine', upstream: null }
    const fresh = { notes: 'theirs', weight: 9, priority: 0, upstream: 'https://b.test' }
    expect(rebased(typed, stored, fresh)).toEqual({ notes: 'mine', weight: 9, priority: 0, upstream: null })
  })
})
