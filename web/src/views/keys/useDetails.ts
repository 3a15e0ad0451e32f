import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useResource } from '@/composables/useResource'
import { useOptions } from './useOptions'
import type { Group } from './useGroups'

export interface Line {
  name: string
  value: string
  /** What holds without it. */
  instead?: string
}

/** What a group is set to, in words. */
export function useDetails(group: () => Group) {
  const { t, te } = useI18n()
  const options = useOptions()
  const parents = useResource(
    signal =>
      unwrap(api.GET('/api/groups/{id}/parent-aggregate-groups', { params: { path: { id: group().id } }, signal })),
    { live: ['groups'] }
  )

  const basics = computed<Line[]>(() => {
    const { test_model, validation_endpoint } = group()
    return [
      { name: t('keysForm.name'), value: group().name },
      { name: t('keysForm.testModel'), value: test_model },
      { name: t('keysForm.validationEndpoint'), value: validation_endpoint || t('keysForm.channelsOwn') }
    ]
  })
  const overrides = computed<Line[]>(() =>
    (options.data.value ?? []).flatMap(option => {
      const value = group().config?.[option.key]
      if (value === undefined || value === null) return []
      const said = (of: unknown) => inWords(of, option.unit)
      return [{ name: option.name, value: said(value), instead: said(option.default_value) }]
    })
  )
  const headers = computed<Line[]>(() =>
    (group().header_rules ?? []).map(({ key, value, action }) => ({
      name: key,
      value: action === 'remove' ? t('keysForm.removed') : value
    }))
  )
  const redirects = computed<Line[]>(() =>
    Object.entries(group().model_redirect_rules).map(([from, to]) => ({ name: from, value: String(to) }))
  )
  const params = computed(() => {
    const given = group().param_overrides
    return given && Object.keys(given).length > 0 ? JSON.stringify(given, null, 2) : ''
  })

  function inWords(value: unknown, unit?: string): string {
    if (typeof value === 'boolean') return value ? t('settings.on') : t('settings.off')
    if (value === '') return t('keysForm.nothing')
    const word = te(`choices.${String(value)}`) ? t(`choices.${String(value)}`) : String(value)
    return unit ? `${word} ${t(`units.${unit}`)}` : word
  }

  return { basics, overrides, headers, redirects, params, parents }
}
