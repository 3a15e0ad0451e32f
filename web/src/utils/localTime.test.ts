import { expect, it } from 'vitest'
import { fromLocalInput, toLocalInput } from './localTime'

it('a moment comes back as it was, in whatever zone this runs', () => {
  for (const time of ['2026-01-31T12:34:00.000Z', '2026-07-31T23:59:00.000Z', '2026-03-29T01:30:00.000Z']) {
    expect(fromLocalInput(toLocalInput(time))).toBe(time)
  }
  expect(toLocalInput('2026-07-31T20:00:00+08:00')).toBe(toLocalInput('2026-07-31T12:00:00Z'))
})

it('what is no time is nothing', () => {
  expect([toLocalInput(''), toLocalInput('soon'), fromLocalInput(''), fromLocalInput('soon')]).toEqual(['', '', '', ''])
})
