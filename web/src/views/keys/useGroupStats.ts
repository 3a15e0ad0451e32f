import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useResource } from '@/composables/useResource'

export type GroupStats = Schemas['GroupStats']

/** Keys by state and requests of a group. */
export function useGroupStats(id: () => number) {
  return useResource(signal => unwrap(api.GET('/api/groups/{id}/stats', { params: { path: { id: id() } }, signal })), {
    watch: [id],
    live: ['keys', 'logs'],
    concerns: event => (event.group_id ?? id()) === id()
  })
}
