import { NCheckbox, type DataTableColumns } from 'naive-ui'
import { computed, h } from 'vue'
import { useI18n } from 'vue-i18n'
import { session } from '@/api/session'
import SecretText from '@/components/SecretText.vue'
import TimeText from '@/components/TimeText.vue'
import { useFormat } from '@/composables/useFormat'
import type { Key } from './changes'
import KeyRowMenu from './modules/KeyRowMenu.vue'
import KeyStanding from './modules/KeyStanding.vue'
import type { KeyActions } from './useKeyActions'
import type { Selection } from './useSelection'
import { mask } from '@/utils/mask'

export interface KeyHandlers {
  open: (key: Key, isTesting: boolean) => void
  actions: KeyActions
  selection: Selection
}

/** The columns of the key table. */
export function useKeyColumns(handlers: KeyHandlers) {
  const { t } = useI18n()
  const { number } = useFormat()

  /** The checkboxes of Naive UI's own column have no names. */
  function picker() {
    const { selection } = handlers
    const { isAllPicked, isSomePicked } = selection
    return {
      key: 'pick',
      width: 40,
      title: () =>
        h(NCheckbox, {
          checked: isAllPicked.value,
          indeterminate: isSomePicked.value && !isAllPicked.value,
          'aria-label': t('keys.selectPage'),
          onUpdateChecked: selection.pickPage
        }),
      render: (key: Key) =>
        h(NCheckbox, {
          checked: selection.isPicked(key),
          'aria-label': t('keys.select', { key: mask(key.key_value) }),
          onUpdateChecked: () => selection.toggle(key)
        })
    }
  }

  return computed<DataTableColumns<Key>>(() => [
    ...(session.canWrite.value ? [picker()] : []),
    {
      key: 'key',
      title: t('keys.key'),
      width: 200,
      render: key => [
        h(SecretText, { value: key.key_value, isBare: !session.canWrite.value }),
        key.notes ? h('div', { class: 'small muted truncate', title: key.notes }, key.notes) : null
      ]
    },
    { key: 'state', title: t('keys.state'), render: key => h(KeyStanding, { of: key }) },
    numberColumn('requests', t('keys.requests'), key => number(key.request_count)),
    numberColumn('failures', t('keys.failures'), key => number(key.failure_count)),
    {
      key: 'used',
      title: t('keys.lastUsed'),
      width: 108,
      render: key => h(TimeText, { value: key.last_used_at, isRelative: true })
    },
    {
      key: 'menu',
      title: () => h('span', { class: 'sr-only' }, t('keys.actions')),
      width: 76,
      render: key => h(KeyRowMenu, { of: key, handlers })
    }
  ])
}

function numberColumn(key: string, title: string, render: (key: Key) => string) {
  return {
    key,
    title,
    width: 82,
    align: 'right' as const,
    render: (row: Key) => h('span', { class: 'num' }, render(row))
  }
}
