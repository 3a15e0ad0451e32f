import { onScopeDispose, ref, shallowRef } from 'vue'
import { api, unwrap } from '@/api/client'
import { usePaging } from '@/composables/usePaging'
import { useResource } from '@/composables/useResource'
import { onEvent } from '@/live/events'
import type { KeyState } from '@/utils/states'
import { changesOf, isNews, latest, withChanges, type KeyChange } from './changes'

/** Changes that are told beside the table. */
const RECENT = 3

export interface RecentChange extends KeyChange {
  /** RFC 3339. */
  time: string
}

/** The keys of a group page by page, and what happens to them while someone looks. */
export function useKeys(group: () => number) {
  const state = ref<KeyState | null>(null)
  const search = ref('')
  const paging = usePaging(50, [state, search], [20, 50, 100, 200, 500])
  const recent = shallowRef<RecentChange[]>([])

  const keys = useResource(
    signal => {
      const query = {
        group_id: group(),
        status: state.value ?? undefined,
        key_value: search.value.trim() || undefined,
        ...paging.query.value
      }
      return unwrap(api.GET('/api/keys', { params: { query }, signal }))
    },
    {
      watch: [state, search, paging.query],
      live: ['keys', 'logs'],
      concerns: event => (event.group_id ?? group()) === group()
    }
  )

  // A key that goes out shows it now, not with the next load; with a million keys it is rarely on the page that is shown.
  const forget = onEvent(event => {
    const changes = changesOf(event, group())
    if (changes.length === 0) return
    const time = new Date().toISOString()
    recent.value = latest(
      recent.value,
      changes.filter(isNews).map(change => ({ ...change, time })),
      RECENT
    )
    const shown = keys.data.value
    if (shown) keys.data.value = { ...shown, items: withChanges(shown.items, changes) }
  })
  onScopeDispose(forget)

  function forgetRecent() {
    recent.value = []
  }

  return { keys, paging, state, search, recent, forgetRecent }
}

export type Keys = ReturnType<typeof useKeys>
