import { computed, reactive, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { changeOf, fieldsOf, rebased } from './keyFields'
import type { KeyDetail } from './useKeyDetail'

/** Notes, weight, priority and upstream of a key. What was typed survives loads and failures. */
export function useKeyForm(key: () => KeyDetail, refresh: () => Promise<void>) {
  const { t } = useI18n()
  const draft = reactive(fieldsOf(key()))
  let loaded = fieldsOf(key())
  watch(key, now => {
    const fresh = fieldsOf(now)
    Object.assign(draft, rebased(draft, loaded, fresh))
    loaded = fresh
  })

  const change = computed(() => changeOf(draft, fieldsOf(key())))
  const isNoted = computed(() => draft.notes.trim() !== key().notes)
  const isChanged = computed(() => isNoted.value || Object.keys(change.value).length > 0)

  const save = useAction(
    async () => {
      const params = { path: { id: key().id } }
      if (Object.keys(change.value).length > 0)
        await unwrap(api.PATCH('/api/keys/{id}', { params, body: change.value }))
      if (isNoted.value) await unwrap(api.PUT('/api/keys/{id}/notes', { params, body: { notes: draft.notes } }))
      await refresh()
      return true
    },
    { done: t('keys.keySaved') }
  )

  return { draft, isChanged, save }
}
