import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useFormat } from '@/composables/useFormat'
import type { LogRow } from './outcome'
import { groupText } from './useColumns'

export interface Fact {
  name: string
  value: string
  isCode?: boolean
}

/** What there is to know of a request, empty things left out. */
export function useFacts(row: Ref<LogRow | undefined>) {
  const { t } = useI18n()
  const { number, duration, exactTime } = useFormat()

  return computed<Fact[]>(() => {
    const of = row.value
    if (!of) return []
    const isMapped = of.upstream_model && of.upstream_model !== of.model
    const tokens = (count: number | null, part: string) => (count === null ? '' : number(count) + part)
    const cached = of.cached_tokens ? ` (${t('logs.ofThemCached', { n: number(of.cached_tokens) })})` : ''
    const reasoning = of.reasoning_tokens ? ` (${t('logs.ofThemReasoning', { n: number(of.reasoning_tokens) })})` : ''
    return [
      { name: t('logs.time'), value: exactTime(of.timestamp) },
      { name: t('logs.group'), value: groupText(of) },
      { name: t('logs.model'), value: isMapped ? `${of.model} → ${of.upstream_model}` : of.model },
      { name: t('logs.path'), value: of.request_path, isCode: true },
      { name: t('logs.duration'), value: duration(of.duration_ms) },
      { name: t('logs.firstByteName'), value: of.first_byte_ms === null ? '' : duration(of.first_byte_ms) },
      { name: t('logs.stream'), value: of.is_stream ? t('logs.yes') : t('logs.no') },
      { name: t('logs.inputTokens'), value: tokens(of.input_tokens, cached) },
      {
        name: t('logs.outputTokens'),
        value: tokens(of.output_tokens, reasoning)
      },
      { name: t('logs.finishReason'), value: of.finish_reason ?? '', isCode: true },
      { name: t('logs.sourceIp'), value: of.source_ip, isCode: true },
      { name: t('logs.userAgent'), value: of.user_agent, isCode: true }
    ].filter(fact => fact.value !== '')
  })
}
