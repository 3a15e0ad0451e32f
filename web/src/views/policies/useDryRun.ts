import { computed, onScopeDispose, reactive, ref, watch, type Ref } from 'vue'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useResource } from '@/composables/useResource'
import type { Draft, PolicyType } from './policy'
import { bare } from './problems'

type Body = Schemas['PolicyEvaluate']

/** Typing pauses this long before the server is asked. */
const PAUSE_MS = 400

/** What is tried out: an answer of a provider, or nothing but a request. */
export interface Sample {
  model: string
  status: number | null
  message: string
  error_type: string
  class: Schemas['OutcomeClass'] | null
  failure_count: number | null
  request_count: number | null
}

/** What fits a type of policy. */
export function sampleOf(type: PolicyType): Sample {
  const isAnswer = type === 'retry' || type === 'degradation'
  const message = isAnswer ? 'Rate limit reached for gpt-4o-mini' : ''
  const status = isAnswer ? 429 : null
  return {
    model: 'gpt-4o-mini',
    status,
    message,
    error_type: '',
    class: null,
    failure_count: null,
    request_count: null
  }
}

/** The sample as the API takes it. Empty members are left out: they would count as an answer otherwise. */
export function bodyOf(sample: Sample, of: Pick<Body, 'policy' | 'group_id'>): Body {
  const filled = Object.entries(sample).filter(([, value]) => value !== null && value !== '')
  return { ...of, ...Object.fromEntries(filled) }
}

/** Tries a draft, or what a group has, on a sample; nothing is changed by it. The server checks the draft on the way. */
export function useDryRun(draft: Ref<Draft>) {
  const sample = reactive(sampleOf(draft.value.type))
  const group = ref<number | null>(null)
  const body = computed(() =>
    bodyOf(sample, group.value === null ? { policy: { ...draft.value } } : { group_id: group.value })
  )
  const asked = ref(body.value)
  let pending: ReturnType<typeof setTimeout> | undefined
  watch(body, next => {
    clearTimeout(pending)
    pending = setTimeout(() => (asked.value = next), PAUSE_MS)
  })
  onScopeDispose(() => clearTimeout(pending))

  const run = useResource(signal => unwrap(api.POST('/api/policies/evaluate', { body: asked.value as Body, signal })), {
    watch: [asked]
  })
  /** What is wrong with the draft, by field. */
  const fields = computed(() => (group.value === null ? bare(run.error.value?.fields ?? {}) : {}))
  const isRefused = computed(() => run.error.value?.kind === 'invalid')
  return { sample, group, run, fields, isRefused }
}

export type DryRun = ReturnType<typeof useDryRun>
