import type { JSONPath } from 'jsonc-parser'
import { TYPES } from './policy'

/** What a member must be for the form to show it, for the texts of `policies.must.…`. */
export type Must = 'object' | 'list' | 'text' | 'number' | 'flag' | 'type'

export interface Misfit {
  path: JSONPath
  must: Must
}

type Check = (value: unknown, path: JSONPath) => Misfit[]

const CHECKS: Record<'text' | 'number' | 'flag', (value: unknown) => boolean> = {
  text: value => typeof value === 'string',
  number: value => Number.isInteger(value),
  flag: value => typeof value === 'boolean'
}

/** Absent and null members are left to the server. */
const plain =
  (must: keyof typeof CHECKS): Check =>
  (value, path) =>
    value === undefined || value === null || CHECKS[must](value) ? [] : [{ path, must }]

const textOrNumber: Check = (value, path) => (typeof value === 'number' ? [] : plain('text')(value, path))

const list =
  (of: Check): Check =>
  (value, path) => {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) return [{ path, must: 'list' }]
    return value.flatMap((element, index) => of(element, [...path, index]))
  }

const object =
  (members: Record<string, Check>): Check =>
  (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [{ path, must: 'object' }]
    const of = value as Record<string, unknown>
    return Object.entries(members).flatMap(([name, check]) => check(of[name], [...path, name]))
  }

const condition = object({
  type: plain('text'),
  operator: plain('text'),
  value: textOrNumber,
  values: list(textOrNumber)
})

const rule = object({
  name: plain('text'),
  priority: plain('number'),
  conditions: list(condition),
  action: plain('text'),
  max_retries: plain('number'),
  backoff_ms: plain('number'),
  duration: plain('text')
})

const config = object({
  rules: list(rule),
  type: plain('text'),
  patterns: list(plain('text')),
  scope: plain('text'),
  limit: plain('number'),
  interval: plain('text')
})

const policy = object({
  name: plain('text'),
  description: plain('text'),
  type: (value, path) => ((TYPES as readonly unknown[]).includes(value) ? [] : [{ path, must: 'type' }]),
  priority: plain('number'),
  is_active: plain('flag'),
  config,
  rules: list(rule)
})

/** What the form could not show of a policy. Members that it does not know do not disturb it. */
export function misfits(value: unknown): Misfit[] {
  return policy(value, [])
}
