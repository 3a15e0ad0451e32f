import { computed, type Ref } from 'vue'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useResource, type Resource } from '@/composables/useResource'
import type { LogRow } from './outcome'
import { readable, timeline } from './timeline'

/** All rows of one request, which may still be under way. */
export function useRequest(id: Ref<string>) {
  const rows = computed<LogRow[]>(() => request.data.value?.attempts ?? [])
  const isFinal = computed(() => rows.value.some(row => row.request_type === 'final'))
  const request: Resource<Schemas['RequestAttempts']> = useResource(
    signal =>
      unwrap(api.GET('/api/logs/{request_id}/attempts', { params: { path: { request_id: id.value } }, signal })),
    { watch: [id], live: ['logs'], concerns: () => !isFinal.value, pollMs: 0 }
  )
  const steps = computed(() => timeline(rows.value))
  /** None when the gateway refused the request by itself. */
  const attempts = computed(() => rows.value.filter(row => row.attempt > 0).length)
  /** The row that answered the client, or the last one so far. */
  const last = computed(() => rows.value.find(row => row.request_type === 'final') ?? steps.value.at(-1)?.row)
  const body = computed(() => readable(rows.value.find(row => row.request_body !== '')?.request_body ?? ''))
  return { request, steps, attempts, last, body, isFinal }
}
