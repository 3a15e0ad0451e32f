import { computed, reactive, watch, type WatchSource } from 'vue'

/** A page of a list, as the API answers it. */
export interface Page<T> {
  items: T[]
  pagination: {
    page: number
    page_size: number
    total_items: number
    total_pages: number
    /** Whether there are so many that they were not counted one by one. */
    total_is_estimate?: boolean
  }
}

/**
 * Which page of a list the server is asked for. Put `query` into the request and into `watch` of the resource;
 * when one of `filters` changes, the first page comes again.
 */
export function usePaging(pageSize: number, filters: WatchSource[] = [], sizes = [20, 50, 100, 200]) {
  const state = reactive({ page: 1, pageSize, sizes })
  if (filters.length > 0) watch(filters, () => (state.page = 1), { deep: true, flush: 'sync' })
  const query = computed(() => ({ page: state.page, page_size: state.pageSize }))
  return { state, query }
}

export type Paging = ReturnType<typeof usePaging>
