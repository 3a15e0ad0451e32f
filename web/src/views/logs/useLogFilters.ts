import { computed, onScopeDispose, reactive, ref, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { countFilters, fromQuery, NO_FILTERS, toQuery, type LogFilters } from './filters'

/** Typing pauses this long before the server is asked. */
const PAUSE_MS = 350

/**
 * The filters in force, which stand in the address, and those that are being typed. The key is a secret: it stays on
 * the page, and is taken out of an address that came with one.
 */
export function useLogFilters() {
  const route = useRoute()
  const router = useRouter()
  const key = ref(fromQuery(route.query).key_value)
  /** As text, so that a change elsewhere in the address is none of the filters. */
  const told = computed(() => JSON.stringify({ ...fromQuery(route.query), key_value: key.value }))
  const filters = computed(() => JSON.parse(told.value) as LogFilters)
  const draft = reactive({ ...filters.value })
  const count = computed(() => countFilters(filters.value))
  let pending: ReturnType<typeof setTimeout> | undefined

  function apply() {
    clearTimeout(pending)
    if (route.name !== 'logs') return
    key.value = draft.key_value.trim()
    const { request } = route.query
    const query = { ...toQuery(draft), ...(request ? { request } : {}) }
    void router.replace({ query })
  }

  function change(next: Partial<LogFilters>) {
    Object.assign(draft, next)
    apply()
  }

  /** Takes over what the address says now, but not under the fingers of whoever types a blank. */
  function adopt() {
    for (const name of Object.keys(draft) as (keyof LogFilters)[]) {
      if (draft[name].trim() !== filters.value[name]) draft[name] = filters.value[name]
    }
  }

  function clear() {
    change(NO_FILTERS)
  }

  watch(draft, () => {
    clearTimeout(pending)
    pending = setTimeout(apply, PAUSE_MS)
  })
  watch(told, adopt)
  if (route.query.key_value !== undefined) apply()
  onScopeDispose(() => clearTimeout(pending))

  return { filters, draft, count, change, clear }
}

export type LogFilterForm = ReturnType<typeof useLogFilters>
