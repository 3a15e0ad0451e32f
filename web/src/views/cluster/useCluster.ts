import { computed } from 'vue'
import { api, whole } from '@/api/client'
import { getCluster } from '@/api/pending'
import { useResource } from '@/composables/useResource'

/** Nodes tell of themselves every few seconds. */
const POLL_MS = 5000

/** The nodes, or the only one where there is no cluster. */
export function useCluster() {
  const cluster = useResource(
    async signal => {
      const [known, health] = await Promise.all([getCluster(signal), whole(api.GET('/health', { signal }))])
      return { known, health }
    },
    { live: ['cluster'], pollMs: POLL_MS }
  )
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
