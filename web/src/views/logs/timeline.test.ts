import { expect, it } from 'vitest'
import type { LogRow } from './outcome'
import { ruleOf, toneOf } from './outcome'
import { readable, timeline } from './timeline'

function row(attempt: number, duration_ms: number): LogRow {
  return { id: `id-${attempt}`, attempt, duration_ms } as LogRow
}

it('attempts follow each other on the time of the request, in whatever order they come', () => {
  const steps = timeline([row(2, 400), row(1, 100), row(3, 1000)])
  expect(steps.map(({ row: { attempt }, from, until, left, width }) => [attempt, from, until, left, width])).toEqual([
    [1, 0, 100, 0, 0.1],
    [2, 100, 400, 0.1, 0.3],
    [3, 400, 1000, 0.4, 0.6]
  ])
})

it('an attempt that took no time can be seen, and no attempts are no steps', () => {
  expect(timeline([row(1, 0)])).toMatchObject([{ from: 0, until: 0, left: 0, width: 0.004 }])
  expect(timeline([])).toEqual([])
})

it('JSON is laid out, everything else stays', () => {
  expect(readable('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}')
  expect(readable('{"a":[1')).toBe('{"a":[1')
})

it('rows without a class are told by their success', () => {
  expect(toneOf({ outcome_class: 'rate_limited', is_success: false })).toBe('warning')
  expect([true, false].map(is_success => toneOf({ outcome_class: null, is_success }))).toEqual(['success', 'danger'])
})

it('the rule of the evidence stands without the text that is shown anyway', () => {
  expect(ruleOf({ evidence: 'status-500: The server failed', error_message: 'The server failed' })).toBe('status-500')
  expect(ruleOf({ evidence: 'status-500: a', error_message: 'b' })).toBe('status-500: a')
  expect(ruleOf({ evidence: null, error_message: 'b' })).toBe('')
})
