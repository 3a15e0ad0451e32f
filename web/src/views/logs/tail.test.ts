import { expect, it, vi } from 'vitest'
import { ApiError } from '@/api/errors'
import { createTail } from './tail'

interface Row {
  id: string
}

const rows = (...ids: string[]): Row[] => ids.map(id => ({ id }))
const none = { items: [], hasMore: false }
const shown = (tail: ReturnType<typeof createTail<Row>>) => tail.rows.value?.map(row => row.id).join()

it('what is new comes on top, batch by batch, and the oldest go', async () => {
  const newest = vi.fn().mockResolvedValue(rows('b', 'a'))
  const after = vi
    .fn()
    .mockResolvedValueOnce({ items: rows('d', 'c'), hasMore: true })
    .mockResolvedValueOnce({ items: rows('e'), hasMore: false })
  const tail = createTail({ newest, after }, 4)
  await tail.start()
  expect(shown(tail)).toBe('b,a')
  await tail.catchUp()
  expect(shown(tail)).toBe('e,d,c,b')
  expect(after.mock.calls.map(([id]) => id)).toEqual(['b', 'd'])
})

it('a log that was empty is asked for its newest rows again', async () => {
  const newest = vi.fn().mockResolvedValueOnce([]).mockResolvedValueOnce(rows('a'))
  const tail = createTail({ newest, after: vi.fn() }, 10)
  await tail.start()
  expect(shown(tail)).toBe('')
  await tail.catchUp()
  expect(shown(tail)).toBe('a')
})

it('calls that come while one is under way become one more', async () => {
  let answer: (value: { items: Row[]; hasMore: boolean }) => void = () => undefined
  const after = vi.fn(() => new Promise<{ items: Row[]; hasMore: boolean }>(resolve => (answer = resolve)))
  const tail = createTail({ newest: () => Promise.resolve(rows('a')), after }, 10)
  await tail.start()
  const first = tail.catchUp()
  await Promise.all([tail.catchUp(), tail.catchUp(), tail.catchUp()])
  expect(after).toHaveBeenCalledTimes(1)
  answer({ items: rows('b'), hasMore: false })
  await vi.waitUntil(() => after.mock.calls.length === 2)
  answer(none)
  await first
  expect(shown(tail)).toBe('b,a')
  expect(after).toHaveBeenCalledTimes(2)
})

it('it begins anew when retention took the row that it knew, and keeps its rows when the server fails', async () => {
  const newest = vi.fn().mockResolvedValueOnce(rows('a')).mockResolvedValueOnce(rows('z'))
  const failure = new ApiError('unavailable', 503, '', 'away')
  const after = vi
    .fn()
    .mockRejectedValueOnce(new ApiError('notFound', 404, 'NOT_FOUND', ''))
    .mockRejectedValueOnce(failure)
    .mockResolvedValueOnce(none)
  const tail = createTail({ newest, after }, 10)
  await tail.start()
  await tail.catchUp()
  expect(shown(tail)).toBe('z')
  await tail.catchUp()
  expect([shown(tail), tail.error.value]).toEqual(['z', failure])
  await tail.catchUp()
  expect([shown(tail), tail.error.value, tail.isLoading.value]).toEqual(['z', undefined, false])
})

it('an answer that comes after the end is dropped', async () => {
  let answer: (value: Row[]) => void = () => undefined
  const tail = createTail({ newest: () => new Promise<Row[]>(resolve => (answer = resolve)), after: vi.fn() }, 10)
  const started = tail.start()
  tail.stop()
  answer(rows('a'))
  await started
  expect([tail.rows.value, tail.isLoading.value]).toEqual([undefined, false])
})
