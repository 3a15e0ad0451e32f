import { computed } from 'vue'
import { api, whole } from '@/api/client'
import { getCluster } from '@/api/pending'
import { usePolling } from '@/composables/usePolling'
import { useResource } from '@/composables/useResource'

/** Nodes tell of themselves every few seconds, without an event. */
const POLL_MS = 5000

/** The nodes, or the only one where there is no cluster. */
export function useCluster() {
  /** A node that has no such route gets none while this page is open. */
  let isMissing = false
  const cluster = useResource(
    async signal => {
      const ask = isMissing ? Promise.resolve(null) : getCluster(signal)
      const [known, health] = await Promise.all([ask, whole(api.GET('/health', { signal }))])
      isMissing = known === null
      return { known, health }
    },
    { live: ['cluster'], pollMs: 0 }
  )
  usePolling(cluster.refresh, POLL_MS)
  const nodes = computed(() => cluster.data.value?.known?.nodes ?? [])
  /** Where nobody else could be seen there is nothing to list. */
  const isAlone = computed(() => cluster.data.value?.known === null || nodes.value.length === 0)
  const health = computed(() => cluster.data.value?.health)
  const epoch = computed(() => cluster.data.value?.known?.epoch ?? null)
  const leader = computed(() => cluster.data.value?.known?.leader ?? '')
  /** Nobody leads: writes wait. */
  const isHeadless = computed(() => nodes.value.length > 1 && !nodes.value.some(node => node.role === 'leader'))
  return { cluster, nodes, isAlone, health, epoch, leader, isHeadless }
}
