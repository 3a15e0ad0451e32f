import type { Schemas } from '@/api/types'

/** What may become of a key, in the order in which lists show it. */
export const KEY_STATES = [
  'active',
  'degraded',
  'pending',
  'disabled',
  'invalid'
] as const satisfies Schemas['KeyState'][]
export type KeyState = Schemas['KeyState']

export type Tone = 'success' | 'info' | 'warning' | 'orange' | 'danger'

export const TONES: Record<KeyState, Tone> = {
  active: 'success',
  pending: 'info',
  degraded: 'warning',
  disabled: 'orange',
  invalid: 'danger'
}
