import { expect, it } from 'vitest'
import { countFilters, fromQuery, NO_FILTERS, toApi, toQuery } from './filters'

const NOW = Date.parse('2026-01-31T12:00:00Z')

it('what stands in the address comes back, but never the key', () => {
  const filters = fromQuery({ group_name: 'team-a', status_code: '429', is_success: 'false', key_value: 'sk-secret' })
  expect(filters).toEqual({
    ...NO_FILTERS,
    group_name: 'team-a',
    status_code: '429',
    is_success: 'false',
    key_value: 'sk-secret'
  })
  expect(toQuery(filters)).toEqual({ group_name: 'team-a', status_code: '429', is_success: 'false' })
  expect(fromQuery(toQuery({ ...filters, key_value: '' }))).toEqual({ ...filters, key_value: '' })
})

it('what the server would ignore is not shown as a filter', () => {
  const query = { is_success: 'yes', request_type: 'first', status_code: 'all', range: '2y', start_time: 'soon' }
  expect(fromQuery({ ...query, end_time: '0001-01-01T00:00:00Z', model: ['a', 'b'] })).toEqual(NO_FILTERS)
})

it('the API gets types of its own and nothing that is empty', () => {
  const asked = toApi({ ...NO_FILTERS, model: ' gpt ', status_code: '500', is_success: 'true', key_value: 'sk-1' }, NOW)
  expect(JSON.parse(JSON.stringify(asked))).toEqual({
    model: 'gpt',
    status_code: 500,
    is_success: true,
    key_value: 'sk-1'
  })
})

it('a span up to now moves with the time and wins over exact times', () => {
  const times = { start_time: '2026-01-01T00:00:00Z', end_time: '2026-01-02T00:00:00Z' }
  const asked = (range: string) => toApi({ ...NO_FILTERS, ...times, range }, NOW)
  expect(asked('1h')).toMatchObject({ start_time: '2026-01-31T11:00:00.000Z', end_time: undefined })
  expect(asked('')).toMatchObject(times)
})

it('filters are counted as people see them', () => {
  expect(countFilters(NO_FILTERS)).toBe(0)
  expect(countFilters({ ...NO_FILTERS, start_time: 'a', end_time: 'b', model: ' ', key_value: 'k' })).toBe(2)
})
