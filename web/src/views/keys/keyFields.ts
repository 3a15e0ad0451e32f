import type { Schemas } from '@/api/types'
import type { KeyDetail } from './useKeyDetail'

/** What a person decides about a key. */
export interface KeyFields {
  notes: string
  /** `null` while the field is empty. */
  weight: number | null
  priority: number | null
  upstream: string | null
}

export function fieldsOf({ notes, weight, priority, upstream }: KeyDetail): KeyFields {
  return { notes, weight, priority, upstream: upstream ?? null }
}

/** `draft` after the key was loaded again: what is new shows where nothing was typed over `loaded`. */
export function rebased(draft: KeyFields, loaded: KeyFields, fresh: KeyFields): KeyFields {
  return {
    notes: draft.notes === loaded.notes ? fresh.notes : draft.notes,
    weight: draft.weight === loaded.weight ? fresh.weight : draft.weight,
    priority: draft.priority === loaded.priority ? fresh.priority : draft.priority,
    upstream: draft.upstream === loaded.upstream ? fresh.upstream : draft.upstream
  }
}

/** Only what differs; an emptied number stays as it was. Notes have a route of their own. */
export function changeOf(draft: KeyFields, stored: KeyFields): Schemas['KeyChange'] {
  const change: Schemas['KeyChange'] = {}
  if (draft.weight !== null && draft.weight !== stored.weight) change.weight = draft.weight
  if (draft.priority !== null && draft.priority !== stored.priority) change.priority = draft.priority
  if (draft.upstream !== stored.upstream) change.upstream = draft.upstream
  return change
}
