import { expect, it } from 'vitest'
import { attached, detached, switched, type Link } from './links'

const link = (policy_id: number, priority: number, is_active = true): Link => ({ policy_id, priority, is_active })
const links = [{ ...link(1, 3), policy: { name: 'more than the API takes' } }, link(2, 7, false)]

it('a new link is asked last, and none comes twice', () => {
  expect(attached(links, 5)).toEqual([link(1, 3), link(2, 7, false), link(5, 8)])
  expect(attached(links, 2)).toEqual([link(1, 3), link(2, 7, false)])
  expect(attached([], 5)).toEqual([link(5, 0)])
})

it('one goes, or is switched, and the others stay as they are', () => {
  expect(detached(links, 1)).toEqual([link(2, 7, false)])
  expect(switched(links, 2, true)).toEqual([link(1, 3), link(2, 7)])
})
