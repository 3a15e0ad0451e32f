import type { Schemas } from '@/api/types'
import type { LiveEvent } from '@/live/events'
import type { KeyState } from '@/utils/states'

export type Key = Schemas['Key']

/** A key that went from one state to another, as the server tells it. */
export interface KeyChange {
  id: number
  /** Masked. */
  key: string
  from: KeyState
  state: KeyState
  class: string | null
  reason: string | null
}

/** The changes of keys of `group` that an event names; it names some of many. */
export function changesOf(event: LiveEvent, group: number): KeyChange[] {
  if (event.type !== 'keys' || event.group_id !== group || !Array.isArray(event.keys)) return []
  return event.keys as KeyChange[]
}

/** `keys` as they are after `changes`, before they are loaded again. The last change of a key counts. */
export function withChanges(keys: readonly Key[], changes: readonly KeyChange[]): Key[] {
  const byId = new Map(changes.map(change => [change.id, change]))
  return keys.map(key => {
    const change = byId.get(key.id)
    if (!change) return key
    return { ...key, status: change.state, last_class: change.class, last_error_message: change.reason ?? '' }
  })
}

/** Whether people want to hear of it beside the table; that new keys prove themselves is what everyone expects. */
export function isNews({ from, state }: KeyChange): boolean {
  return !(from === 'pending' && state === 'active')
}

/** The last changes, newest first; a key stands once. */
export function latest<T extends { id: number }>(before: readonly T[], now: readonly T[], limit: number): T[] {
  const ids = new Set<number>()
  return [...[...now].reverse(), ...before].filter(one => !ids.has(one.id) && ids.add(one.id)).slice(0, limit)
}
