import { computed, reactive, ref, watch, onScopeDispose } from 'vue'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { usePaging, type Page } from '@/composables/usePaging'
import { useResource } from '@/composables/useResource'

export type AuditEntry = Schemas['AuditEntry']

/** Typing pauses this long before the server is asked. */
const PAUSE_MS = 350

export const NO_AUDIT_FILTERS = Object.freeze({
  actor: '',
  action: '',
  subject_type: '',
  subject: '',
  outcome: '',
  start_time: '',
  end_time: ''
})

/** Who did what, page by page, newest first. */
export function useAudit() {
  const draft = reactive<Record<keyof typeof NO_AUDIT_FILTERS, string>>({ ...NO_AUDIT_FILTERS })
  const filters = ref<Record<string, string>>({})
  const count = computed(() => Object.keys(filters.value).length)
  let pending: ReturnType<typeof setTimeout> | undefined
  watch(draft, () => {
    clearTimeout(pending)
    pending = setTimeout(() => (filters.value = filled(draft)), PAUSE_MS)
  })
  onScopeDispose(() => clearTimeout(pending))

  const paging = usePaging(20, [filters])
  const rows = useResource(
    async signal => {
      const query = { ...filters.value, ...paging.query.value }
      return (await unwrap(api.GET('/api/audit', { params: { query }, signal }))) as Page<AuditEntry>
    },
    { watch: [filters, paging.query], live: ['settings', 'groups', 'policies', 'keys'] }
  )

  function clear() {
    Object.assign(draft, NO_AUDIT_FILTERS)
  }

  return { rows, paging, draft, count, clear }
}

export function filled(of: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(of)
      .map(([name, value]) => [name, value.trim()])
      .filter(([, value]) => value !== '')
  )
}
