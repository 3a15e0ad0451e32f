import { computed, onScopeDispose, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useFormat } from '@/composables/useFormat'
import { usePaging } from '@/composables/usePaging'
import { useResource } from '@/composables/useResource'
import type { KeyState } from '@/utils/states'

export type PooledKey = Schemas['PooledKey']

/** No event tells of requests that begin and end, so the pool is looked at this often. */
const LOOK_MS = 3000

/** A group's keys as this node sees them now. */
export function usePool(group: () => number) {
  const { t } = useI18n()
  const { number } = useFormat()
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

  const accept = useAction(
    () => unwrap(api.POST('/api/groups/{id}/pool/accept', { params: { path: { id: group() } } })),
    { done: ({ accepted_count }) => t('keysPool.accepted', { n: number(accepted_count) }) }
  )

  async function askAndAccept() {
    const isSure = await confirm({
      title: t('keysPool.acceptTitle', { n: number(pool.data.value?.held ?? 0) }),
      text: t('keysPool.acceptText'),
      action: t('keysPool.accept')
    })
    if (isSure && (await accept.run())) await pool.refresh()
  }

  return { pool, keys, paging, state, askAndAccept }
}
