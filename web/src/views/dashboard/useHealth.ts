import { computed } from 'vue'
import { api, whole } from '@/api/client'
import { useResource } from '@/composables/useResource'

/** What people should know of this node: keys that the pool guard keeps, lost log rows, the state of the cluster. */
export function useHealth() {
  const load = (signal: AbortSignal) => whole(api.GET('/health', { signal }))
  const health = useResource(load, { live: ['guard', 'cluster', 'keys'] })
  return { warnings: computed(() => health.data.value?.warnings ?? []) }
}
