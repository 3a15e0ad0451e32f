import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import type { LogRow } from './outcome'

/** Which request is open. It stands in the address, so that it can be shown to others. */
export function useOpenRequest() {
  const route = useRoute()
  const router = useRouter()
  const id = computed(() => (typeof route.query.request === 'string' ? route.query.request : ''))

  function open(row: LogRow) {
    void router.push({ query: { ...route.query, request: row.request_id } })
  }

  function close() {
    return router.replace({ query: { ...route.query, request: undefined } })
  }

  return { id, open, close }
}
