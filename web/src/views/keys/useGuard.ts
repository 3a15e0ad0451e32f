import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useFormat } from '@/composables/useFormat'
import { useResource } from '@/composables/useResource'

/** What the pool guard holds back in a group, and the decision to let it take effect. */
export function useGuard(group: () => number) {
  const { t } = useI18n()
  const { number } = useFormat()
  const path = () => ({ id: group() })
  const pool = useResource(
    signal => {
      const params = { path: path(), query: { page_size: 1 } }
      return unwrap(api.GET('/api/groups/{id}/pool', { params, signal }))
    },
    { live: ['guard'], concerns: event => (event.group_id ?? group()) === group() }
  )

  const accept = useAction(() => unwrap(api.POST('/api/groups/{id}/pool/accept', { params: { path: path() } })), {
    done: ({ accepted_count }) => t('keysPool.accepted', { n: number(accepted_count) })
  })

  async function askAndAccept() {
    const isSure = await confirm({
      title: t('keysPool.acceptTitle', { n: number(pool.data.value?.held ?? 0) }),
      text: t('keysPool.acceptText'),
      action: t('keysPool.accept')
    })
    if (isSure && (await accept.run())) await pool.refresh()
  }

  return { pool, askAndAccept }
}
