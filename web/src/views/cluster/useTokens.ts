import { computed, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap, whole } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useResource } from '@/composables/useResource'

export type Token = Schemas['AccessToken']

/** Access tokens. No event tells of them, so they are asked for again now and then. */
export function useTokens() {
  const { t } = useI18n()
  const tokens = useResource(signal => unwrap(api.GET('/api/tokens', { signal })), { live: ['settings'] })
  const isEmpty = computed(() => tokens.data.value?.length === 0)
  /** The value of a token that was just made; gone for ever when it is closed. */
  const fresh = ref<Token>()

  const create = useAction(
    async (body: Schemas['TokenCreate']) => {
      const token = await unwrap(api.POST('/api/tokens', { body }))
      await tokens.refresh()
      return token
    },
    { isQuiet: true }
  )

  const removal = useAction(
    async (id: number) => {
      const { message } = await whole(api.DELETE('/api/tokens/{id}', { params: { path: { id } } }))
      await tokens.refresh()
      return message
    },
    { done: message => message }
  )

  async function revoke({ id, name }: Token) {
    const asked = {
      title: t('cluster.revokeTitle', { name }),
      text: t('cluster.revokeText'),
      action: t('cluster.revoke')
    }
    if (await confirm(asked)) await removal.run(id)
  }

  return { tokens, isEmpty, fresh, create, revoke }
}
