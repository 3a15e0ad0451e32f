import { describe, expect, it } from 'vitest'
import { changesOf, isNews, latest, withChanges, type Key, type KeyChange } from './changes'

const change: KeyChange = {
  id: 2,
  key: 'sk-b****bbbb',
  from: 'active',
  state: 'disabled',
  class: 'quota_exhausted',
  reason: 'You exceeded your current quota'
}
const keys = [
  { id: 1, status: 'active', last_class: null, last_error_message: '' },
  { id: 2, status: 'active', last_class: null, last_error_message: '' }
] as Key[]

describe('changes of keys', () => {
  it('are those of the group that is looked at', () => {
    expect(changesOf({ type: 'keys', group_id: 7, keys: [change] }, 7)).toEqual([change])
    expect(changesOf({ type: 'keys', group_id: 8, keys: [change] }, 7)).toEqual([])
    expect(changesOf({ type: 'keys' }, 7)).toEqual([])
    expect(changesOf({ type: 'guard', group_id: 7, keys: [change] }, 7)).toEqual([])
  })

  it('show at once, with the reason', () => {
    const after = withChanges(keys, [{ ...change, state: 'degraded', reason: 'first' }, change])
    expect(after[0]).toBe(keys[0])
    expect(after[1]).toMatchObject({
      status: 'disabled',
      last_class: 'quota_exhausted',
      last_error_message: 'You exceeded your current quota'
    })
  })

  it('are news, but for new keys that prove themselves', () => {
    expect(isNews(change)).toBe(true)
    expect(isNews({ ...change, from: 'pending', state: 'invalid' })).toBe(true)
    expect(isNews({ ...change, from: 'pending', state: 'active' })).toBe(false)
  })

  it('are listed newest first, each key once, and not for ever', () => {
    const one = (id: number, state = 'active') => ({ id, state })
    expect(latest([one(1), one(2)], [one(3), one(1, 'invalid')], 3)).toEqual([one(1, 'invalid'), one(3), one(2)])
    expect(latest([one(1), one(2)], [one(3)], 2)).toEqual([one(3), one(1)])
  })
})
