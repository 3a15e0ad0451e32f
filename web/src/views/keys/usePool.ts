import { computed, onScopeDispose, ref } from 'vue'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { usePaging } from '@/composables/usePaging'
import { useResource } from '@/composables/useResource'
import type { KeyState } from '@/utils/states'

export type PooledKey = Schemas['PooledKey']

/** No event tells of requests that begin and end, so the pool is looked at this often. */
const LOOK_MS = 3000

/** A group's keys as this node sees them now. */
export function usePool(group: () => number) {
  const state = ref<KeyState | null>(null)
  const paging = usePaging(20, [state])
  const pool = useResource(
    signal => {
      const query = { state: state.value ?? undefined, ...paging.query.value }
      return unwrap(api.GET('/api/groups/{id}/pool', { params: { path: { id: group() }, query }, signal }))
    },
    { watch: [state, paging.query], live: ['keys', 'guard'], concerns: event => event.group_id === group(), pollMs: 0 }
  )
  const looking = setInterval(() => !document.hidden && !pool.isLoading.value && void pool.refresh(), LOOK_MS)
  onScopeDispose(() => clearInterval(looking))

  /** The keys alone, as a table takes them. */
  const keys = { ...pool, data: computed(() => pool.data.value?.keys) }

  return { pool, keys, paging, state }
}
