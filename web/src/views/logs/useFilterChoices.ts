import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useResource } from '@/composables/useResource'
import { RANGES, type LogFilters } from './filters'
import type { LogFilterForm } from './useLogFilters'

/** What the filters offer to choose from. */
export function useFilterChoices() {
  const { t } = useI18n()
  const list = useResource(signal => unwrap(api.GET('/api/groups/list', { signal })), { live: ['groups'], pollMs: 0 })

  const groups = computed(() => (list.data.value ?? []).map(({ name }) => ({ value: name, label: name })))
  const outcomes = computed(() => [
    { value: 'true', label: t('logs.succeeded') },
    { value: 'false', label: t('logs.failed') }
  ])
  const types = computed(() => [
    { value: 'final', label: t('logs.final') },
    { value: 'retry', label: t('logs.retry') }
  ])
  const ranges = computed(() => [
    ...Object.keys(RANGES).map(value => ({ value, label: t(`logs.ranges.${value}`) })),
    { value: 'exact', label: t('logs.ranges.exact') }
  ])

  /** A filter as a choice: null is no choice. */
  function choiceOf(form: LogFilterForm, name: keyof LogFilters) {
    return computed<string | null>({
      get: () => form.draft[name] || null,
      set: value => form.change({ [name]: value ?? '' })
    })
  }

  return { groups, outcomes, types, ranges, choiceOf }
}
