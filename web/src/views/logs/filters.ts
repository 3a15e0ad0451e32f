import type { LocationQuery } from 'vue-router'
import type { paths } from '@/api/schema'
import { parseTime } from '@/composables/useFormat'

/** What `GET /api/logs` is asked for, pages aside. */
export type LogQuery = Omit<
  NonNullable<paths['/api/logs']['get']['parameters']['query']>,
  'page' | 'page_size' | 'after'
>

/** Spans of time up to now, and their length in ms. */
export const RANGES = { '15m': 900_000, '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const
export type Range = keyof typeof RANGES

const NAMES = [
  'group_name',
  'parent_group_name',
  'model',
  'is_success',
  'request_type',
  'status_code',
  'source_ip',
  'error_contains',
  'range',
  'start_time',
  'end_time'
] as const

/** The filters as texts; an empty one does not narrow. `range` stands for a start that moves with the time. */
export type LogFilters = Record<(typeof NAMES)[number] | 'key_value', string>

export const NO_FILTERS = Object.freeze({
  ...(Object.fromEntries(NAMES.map(name => [name, ''])) as LogFilters),
  key_value: ''
})

const CHECKS: Partial<Record<keyof LogFilters, (value: string) => boolean>> = {
  is_success: value => value === 'true' || value === 'false',
  request_type: value => value === 'retry' || value === 'final',
  status_code: value => /^\d{3}$/.test(value),
  range: value => value in RANGES,
  start_time: value => parseTime(value) !== null,
  end_time: value => parseTime(value) !== null
}

/** Reads the filters of an address; what the server would not understand is left out. */
export function fromQuery(query: LocationQuery): LogFilters {
  const read = (name: keyof LogFilters) => {
    const value = query[name]
    return typeof value === 'string' && (CHECKS[name]?.(value) ?? true) ? value : ''
  }
  return Object.fromEntries([...NAMES, 'key_value' as const].map(name => [name, read(name)])) as LogFilters
}

/** Writes the filters into an address: all but the key, which is a secret. */
export function toQuery(filters: LogFilters): Record<string, string> {
  return Object.fromEntries(NAMES.map(name => [name, filters[name].trim()]).filter(([, value]) => value !== ''))
}

/** The filters as the API takes them; `now` in ms. */
export function toApi(filters: LogFilters, now: number): LogQuery {
  const text = (name: keyof LogFilters) => filters[name].trim() || undefined
  const span = RANGES[filters.range as Range]
  return {
    group_name: text('group_name'),
    parent_group_name: text('parent_group_name'),
    key_value: text('key_value'),
    model: text('model'),
    is_success: filters.is_success === '' ? undefined : filters.is_success === 'true',
    request_type: (filters.request_type || undefined) as LogQuery['request_type'],
    status_code: filters.status_code === '' ? undefined : Number(filters.status_code),
    source_ip: text('source_ip'),
    error_contains: text('error_contains'),
    start_time: span === undefined ? text('start_time') : new Date(now - span).toISOString(),
    end_time: span === undefined ? text('end_time') : undefined
  }
}

/** How many narrow. A span of time counts once, however it is told. */
export function countFilters(filters: LogFilters): number {
  const { range, start_time, end_time, ...others } = filters
  const time = range || start_time || end_time ? 1 : 0
  return time + Object.values(others).filter(value => value.trim() !== '').length
}
