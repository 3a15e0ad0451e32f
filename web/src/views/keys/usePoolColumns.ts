import type { DataTableColumns } from 'naive-ui'
import { computed, h } from 'vue'
import { useI18n } from 'vue-i18n'
import StateTag from '@/components/StateTag.vue'
import { useFormat } from '@/composables/useFormat'
import OutClock from './modules/OutClock.vue'
import { useClassName } from './useClassName'
import type { PooledKey } from './usePool'

/** What of a pooled key its clock shows. */
export function clockOf({ state, next_return, resting_until }: PooledKey) {
  return { status: state, disabled_until: state === 'disabled' ? next_return : null, resting_until }
}

export function usePoolColumns() {
  const { t } = useI18n()
  const { number } = useFormat()
  const { className } = useClassName()
  const plain = (key: 'in_flight' | 'weight' | 'priority' | 'consecutive_failures', title: string) => ({
    key,
    title,
    align: 'right' as const,
    width: 96,
    render: (row: PooledKey) => h('span', { class: 'num' }, number(row[key]))
  })

  return computed<DataTableColumns<PooledKey>>(() => [
    { key: 'key', title: t('keys.key'), width: 170, render: row => h('code', { class: 'mono' }, row.key) },
    {
      key: 'state',
      title: t('keys.state'),
      render: row =>
        h('div', { class: 'row' }, [
          h(StateTag, { state: row.state }),
          h(OutClock, { of: clockOf(row) }),
          h('span', { class: 'small muted' }, className(row.last_class))
        ])
    },
    plain('in_flight', t('keys.facts.in_flight')),
    plain('consecutive_failures', t('keys.facts.consecutive_failures')),
    plain('weight', t('keys.weight')),
    plain('priority', t('keys.priority'))
  ])
}
