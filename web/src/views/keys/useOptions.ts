import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useResource } from '@/composables/useResource'

export type Option = Schemas['GroupConfigOption']

/** What a group may override, and what holds otherwise. */
export function useOptions() {
  return useResource(signal => unwrap(api.GET('/api/groups/config-options', { signal })), { live: ['settings'] })
}
