import { describe, expect, it } from 'vitest'
import { changedPositions, moved } from './order'

describe('an order', () => {
  it('takes one from its place to another', () => {
    expect(moved(['a', 'b', 'c', 'd'], 0, 2)).toEqual(['b', 'c', 'a', 'd'])
    expect(moved(['a', 'b', 'c', 'd'], 3, 1)).toEqual(['a', 'd', 'b', 'c'])
    expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b'])
  })

  it('ends at its ends', () => {
    expect(moved(['a', 'b', 'c'], 0, -1)).toEqual(['a', 'b', 'c'])
    expect(moved(['a', 'b', 'c'], 1, 9)).toEqual(['a', 'c', 'b'])
  })

  it('is stored with what changed and nothing else', () => {
    const items = [
      { id: 7, sort: 0 },
      { id: 3, sort: 20 },
      { id: 5, sort: 10 }
    ]
    expect(changedPositions(items)).toEqual([
      { id: 3, sort: 10 },
      { id: 5, sort: 20 }
    ])
    expect(changedPositions(items.slice(0, 1))).toEqual([])
  })
})
