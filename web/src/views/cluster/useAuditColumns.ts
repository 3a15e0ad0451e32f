import type { DataTableColumns } from 'naive-ui'
import { computed, h } from 'vue'
import { useI18n } from 'vue-i18n'
import TimeText from '@/components/TimeText.vue'
import type { AuditEntry } from './useAudit'
import { useAuditTexts } from './useAuditTexts'

/** The columns of the audit log; the time is the button that opens a row. */
export function useAuditColumns(open: (entry: AuditEntry) => void) {
  const { t } = useI18n()
  const { outcomeText, actorText, subjectText } = useAuditTexts()

  return computed<DataTableColumns<AuditEntry>>(() => [
    {
      title: t('audit.time'),
      key: 'time',
      width: 190,
      render: entry =>
        h(
          'button',
          { type: 'button', class: 'audit-open', onClick: (event: Event) => (event.stopPropagation(), open(entry)) },
          h(TimeText, { value: entry.time })
        )
    },
    { title: t('audit.actor'), key: 'actor', width: 160, ellipsis: { tooltip: true }, render: actorText },
    {
      title: t('audit.action'),
      key: 'action',
      width: 160,
      render: ({ action }) => h('code', { class: 'mono' }, action)
    },
    { title: t('audit.subject'), key: 'subject', minWidth: 160, ellipsis: { tooltip: true }, render: subjectText },
    {
      title: t('audit.outcome'),
      key: 'outcome',
      width: 120,
      render: entry => h('span', { class: ['audit-outcome', entry.outcome] }, outcomeText(entry))
    },
    { title: t('audit.address'), key: 'address', width: 140, render: ({ address }) => address || '–' }
  ])
}
