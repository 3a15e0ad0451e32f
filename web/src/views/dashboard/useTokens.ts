import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Tokens } from '@/api/pending'
import { useFormat } from '@/composables/useFormat'
import { useResource } from '@/composables/useResource'

/** Tokens that providers counted, of one group or all, over three spans of time. */
export function useTokens(group: Ref<number | null>) {
  const { t } = useI18n()
  const { number, compact } = useFormat()

  const tokens = useResource(
    signal =>
      unwrap(api.GET('/api/dashboard/tokens', { params: { query: { groupId: group.value ?? undefined } }, signal })),
    { watch: [group], live: ['logs'] }
  )

  const rows = computed(() => {
    const data = tokens.data.value
    if (!data) return []
    const spans = [data.tokens_24_hour, data.tokens_7_day, data.tokens_30_day]
    const row = (label: string, count: (span: Tokens) => number, isPart = false) => ({
      label,
      isPart,
      cells: spans.map(span => ({ short: compact(count(span)), exact: number(count(span)) }))
    })
    return [
      row(t('dashboard.inputTokens'), span => span.input_tokens),
      row(t('dashboard.cachedTokens'), span => span.cached_tokens, true),
      row(t('dashboard.outputTokens'), span => span.output_tokens),
      row(t('dashboard.reasoningTokens'), span => span.reasoning_tokens, true)
    ]
  })

  return { tokens, rows }
}
