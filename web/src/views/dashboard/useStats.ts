import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useResource, type Resource } from '@/composables/useResource'

export type Stats = Schemas['DashboardStats']
export type StatsResource = Resource<Stats>

/** Requests per minute sink by themselves, without an event. */
const POLL_MS = 10_000

/** The cards and warnings. */
export function useStats(): StatsResource {
  const load = (signal: AbortSignal) => unwrap(api.GET('/api/dashboard/stats', { signal }))
  return useResource(load, { live: ['keys', 'groups', 'settings', 'logs'], pollMs: POLL_MS })
}
