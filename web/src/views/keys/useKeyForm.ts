import { computed, reactive, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import type { KeyDetail } from './useKeyDetail'

/** What a person decides about a key: notes, weight, priority, upstream. What was typed survives loads and failures. */
export function useKeyForm(key: () => KeyDetail, refresh: () => Promise<void>) {
  const { t } = useI18n()
  const draft = reactive(fieldsOf(key()))
  let loaded = fieldsOf(key())

  // What is new on the server shows where nothing was typed.
  watch(key, now => {
    const fresh = fieldsOf(now)
    const untouched = Object.keys(fresh).filter(name => draft[name as keyof Fields] === loaded[name as keyof Fields])
    Object.assign(draft, Object.fromEntries(untouched.map(name => [name, fresh[name as keyof Fields]])))
    loaded = fresh
  })

  const change = computed(() => changeOf(draft, fieldsOf(key())))
  const isNoted = computed(() => draft.notes.trim() !== key().notes)
  const isChanged = computed(() => isNoted.value || Object.keys(change.value).length > 0)

  const save = useAction(
    async () => {
      const path = { params: { path: { id: key().id } } }
      if (Object.keys(change.value).length > 0)
        await unwrap(api.PATCH('/api/keys/{id}', { ...path, body: change.value }))
      if (isNoted.value) await unwrap(api.PUT('/api/keys/{id}/notes', { ...path, body: { notes: draft.notes } }))
      await refresh()
      return true
    },
    { done: t('keys.keySaved') }
  )

  return { draft, isChanged, save }
}

interface Fields {
  notes: string
  weight: number | null
  priority: number | null
  upstream: string | null
}

function fieldsOf({ notes, weight, priority, upstream }: KeyDetail): Fields {
  return { notes, weight, priority, upstream }
}

/** Only what differs; an emptied number stays as it was. */
function changeOf(draft: Fields, stored: Fields): Schemas['KeyChange'] {
  const change: Schemas['KeyChange'] = {}
  if (draft.weight !== null && draft.weight !== stored.weight) change.weight = draft.weight
  if (draft.priority !== null && draft.priority !== stored.priority) change.priority = draft.priority
  if (draft.upstream !== stored.upstream) change.upstream = draft.upstream
  return change
}
