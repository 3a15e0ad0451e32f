import { computed, shallowRef } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useResource } from '@/composables/useResource'

export type KeyDetail = Schemas['KeyDetail']

/** One key with all that is known of it, and the question to its provider. */
export function useKeyDetail(id: () => number, group: () => number) {
  const { t } = useI18n()
  const detail = useResource(signal => unwrap(api.GET('/api/keys/{id}', { params: { path: { id: id() } }, signal })), {
    live: ['keys', 'logs', 'guard'],
    concerns: event => (event.group_id ?? group()) === group()
  })
  const key = computed(() => detail.data.value)
  /** What the provider said when it was asked last. */
  const tested = shallowRef<Schemas['KeysTested']>()

  const ask = useAction(
    async (updatesState: boolean) => {
      const body = { group_id: group(), keys: [key.value?.key_value ?? ''], update_state: updatesState }
      tested.value = await unwrap(api.POST('/api/keys/test-multiple', { body }))
      await detail.refresh()
      return true
    },
    { isQuiet: true }
  )
  const change = useAction(
    async (body: Schemas['KeyChange']) => {
      await unwrap(api.PATCH('/api/keys/{id}', { params: { path: { id: id() } }, body }))
      await detail.refresh()
      return true
    },
    { done: t('keys.keySaved') }
  )

  return { detail, key, ask, tested, change }
}

export type KeyDetailOf = ReturnType<typeof useKeyDetail>
