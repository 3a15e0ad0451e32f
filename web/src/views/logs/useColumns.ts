import type { DataTableColumns } from 'naive-ui'
import { computed, h, type VNode } from 'vue'
import { useI18n } from 'vue-i18n'
import TimeText from '@/components/TimeText.vue'
import { useFormat } from '@/composables/useFormat'
import { mask } from '@/utils/mask'
import OutcomeTag from './modules/OutcomeTag.vue'
import type { LogRow } from './outcome'

/** Below this the table scrolls sideways, in px. */
export const WIDTH = 1150

/** The columns of the log. `open` shows the request of a row; the time is the button for the keyboard. */
export function useColumns(open: (row: LogRow) => void) {
  const { t } = useI18n()
  const { duration } = useFormat()
  const tokens = useTokenText()

  return computed<DataTableColumns<LogRow>>(() => [
    {
      title: t('logs.time'),
      key: 'timestamp',
      width: 186,
      render: row =>
        h(
          'button',
          { type: 'button', class: 'log-open', onClick: (event: Event) => (event.stopPropagation(), open(row)) },
          h(TimeText, { value: row.timestamp })
        )
    },
    { title: t('logs.outcome'), key: 'outcome_class', width: 190, render: row => h(OutcomeTag, { row }) },
    { title: t('logs.group'), key: 'group_name', width: 112, ellipsis: { tooltip: true }, render: groupText },
    { title: t('logs.model'), key: 'model', width: 140, ellipsis: { tooltip: true }, render: row => row.model || '–' },
    {
      title: t('logs.key'),
      key: 'key_value',
      width: 116,
      render: row => (row.key_value ? h('code', { class: 'mono' }, mask(row.key_value)) : '–')
    },
    { title: t('logs.attempt'), key: 'attempt', width: 92, render: row => attempt(row) },
    {
      title: t('logs.duration'),
      key: 'duration_ms',
      width: 84,
      align: 'right',
      render: row => num(duration(row.duration_ms))
    },
    { title: t('logs.tokens'), key: 'tokens', width: 88, align: 'right', render: row => num(tokens(row)) },
    {
      title: t('logs.error'),
      key: 'error_message',
      minWidth: 150,
      ellipsis: { tooltip: true },
      render: row => row.error_message || ''
    }
  ])

  function attempt(row: LogRow): VNode {
    const isRetry = row.request_type === 'retry'
    return h(
      'span',
      { class: ['num', isRetry ? 'log-retry' : ''], title: isRetry ? t('logs.retryHint') : t('logs.finalHint') },
      [isRetry ? t('logs.retried', { n: row.attempt }) : row.attempt > 0 ? String(row.attempt) : '–']
    )
  }
}

/** Group that served, behind the aggregate group that was asked. */
export function groupText(row: LogRow): string {
  return row.parent_group_name ? `${row.parent_group_name} → ${row.group_name}` : row.group_name
}

/** Tokens in and out, as far as the provider counted them. */
export function useTokenText() {
  const { compact } = useFormat()
  return (row: LogRow): string => {
    const { input_tokens: input, output_tokens: output } = row
    if (input === null && output === null) return '–'
    return [input, output].map(count => (count === null ? '–' : compact(count))).join(' / ')
  }
}

function num(text: string): VNode {
  return h('span', { class: 'num' }, text)
}
