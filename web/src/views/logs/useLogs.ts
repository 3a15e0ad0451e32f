import { computed, type Ref } from 'vue'
import { api, unwrap } from '@/api/client'
import { usePaging, type Page } from '@/composables/usePaging'
import { useResource } from '@/composables/useResource'
import { toApi, type LogFilters } from './filters'
import type { LogRow } from './outcome'

/** A page of the log. `searched_from`: older rows were not looked at. */
export type LogPage = Page<LogRow> & { pagination: { searched_from?: string } }

/** One page at a time. It stands still while someone reads it; the live view is for those who want to follow. */
export function useLogs(filters: Ref<LogFilters>) {
  const paging = usePaging(50, [filters])
  const rows = useResource(
    async signal => {
      const query = { ...toApi(filters.value, Date.now()), ...paging.query.value }
      return (await unwrap(api.GET('/api/logs', { params: { query }, signal }))) as LogPage
    },
    { watch: [filters, paging.query] }
  )
  const searchedFrom = computed(() => rows.data.value?.pagination.searched_from)
  return { rows, paging, searchedFrom }
}
