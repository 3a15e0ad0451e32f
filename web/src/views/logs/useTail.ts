import { computed, onScopeDispose, ref, watch, type Ref } from 'vue'
import { api, unwrap } from '@/api/client'
import { session } from '@/api/session'
import type { Resource } from '@/composables/useResource'
import { liveness, onEvent } from '@/live/events'
import { toApi, type LogFilters } from './filters'
import type { LogRow } from './outcome'
import { createTail } from './tail'
import type { LogPage } from './useLogs'

/** Rows that the live view holds at most. */
export const KEPT = 500
const FIRST = 50
const BATCH = 200
/** Between two questions where no events come. */
const POLL_MS = 2000

/** The live view: rows as they are stored, while the switch is on. */
export function useTail(filters: Ref<LogFilters>) {
  const isOn = ref(false)
  const ask = async (query: object, signal: AbortSignal) =>
    unwrap(api.GET('/api/logs', { params: { query: { ...toApi(filters.value, Date.now()), ...query } }, signal }))

  const tail = createTail<LogRow>(
    {
      newest: async signal => ((await ask({ page_size: FIRST }, signal)) as LogPage).items,
      after: async (id, signal) => {
        const { items, pagination } = await ask({ after: id, page_size: BATCH }, signal)
        return { items, hasMore: 'has_more' in pagination && pagination.has_more }
      }
    },
    KEPT
  )

  const rows: Resource<LogPage> = {
    data: computed(() => tail.rows.value && pageOf(tail.rows.value)),
    error: tail.error,
    isLoading: tail.isLoading,
    refresh: tail.catchUp
  }

  watch([isOn, filters], () => (isOn.value ? void tail.start() : tail.stop()))
  watch([liveness.isLive, session.isUsable], () => isOn.value && session.isUsable.value && void tail.catchUp())
  const forget = onEvent(event => event.type === 'logs' && isOn.value && void tail.catchUp())
  const poll = setInterval(() => {
    if (isOn.value && !liveness.isLive.value && session.isUsable.value) void tail.catchUp()
  }, POLL_MS)
  onScopeDispose(() => {
    forget()
    clearInterval(poll)
    tail.stop()
  })

  return { isOn, rows }
}

function pageOf(items: LogRow[]): LogPage {
  return { items, pagination: { page: 1, page_size: KEPT, total_items: items.length, total_pages: 1 } }
}
