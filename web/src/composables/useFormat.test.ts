import { expect, it } from 'vitest'
import { formatDuration, parseTime, useFormat } from './useFormat'

it('no time, the zero time and nonsense are a dash', () => {
  for (const time of [null, undefined, '', '0001-01-01T00:00:00Z', 'soon']) {
    expect(parseTime(time)).toBeNull()
    expect(useFormat().exactTime(time)).toBe('–')
    expect(useFormat().relativeTime(time, 0)).toBe('–')
  }
  expect(parseTime('2026-02-08T14:05:09.5+08:00')).toBe(Date.UTC(2026, 1, 8, 6, 5, 9, 500))
})

it('distances in time are in the unit that fits', () => {
  const now = Date.UTC(2026, 0, 1)
  const at = (ms: number) => useFormat().relativeTime(new Date(now + ms).toISOString(), now)
  expect([at(0), at(-59_000), at(40_000), at(-3 * 60_000), at(2 * 3_600_000), at(-30 * 3_600_000)]).toEqual([
    'now',
    '59 sec. ago',
    'in 40 sec.',
    '3 min. ago',
    'in 2 hr.',
    'yesterday'
  ])
})

it.each([
  [0, '0 ms'],
  [850.4, '850 ms'],
  [3210, '3.2 s'],
  [245_000, '4 min 5 s'],
  [7_380_000, '2 h 3 min']
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})
