import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useFormat } from '@/composables/useFormat'
import { useResource } from '@/composables/useResource'

/** Classes shown at most; the others are in the log. */
const SHOWN = 6

/** Failed attempts of the last 24 hours by class, of one group or all. */
export function useErrors(group: Ref<number | null>) {
  const { t, te } = useI18n()
  const { number } = useFormat()

  const errors = useResource(
    signal =>
      unwrap(api.GET('/api/dashboard/errors', { params: { query: { groupId: group.value ?? undefined } }, signal })),
    { watch: [group], live: ['logs'] }
  )

  const rows = computed(() => {
    const all = errors.data.value?.errors ?? []
    const most = all[0]?.attempts ?? 1
    return all.slice(0, SHOWN).map(({ class: name, attempts, requests }) => ({
      name,
      label: te(`classes.${name}`) ? t(`classes.${name}`) : name,
      hint: t('dashboard.errorOf', { attempts: number(attempts), requests: number(requests) }),
      attempts: number(attempts),
      share: attempts / most,
      to: { name: 'logs', query: { is_success: 'false' } }
    }))
  })

  return { errors, rows }
}
