import { computed, type ComputedRef } from 'vue'
import { useI18n } from 'vue-i18n'
import type { Setting } from './useSettings'

/** The default of a setting as people read it; empty when it is nothing. */
export function useDefaultText(setting: () => Setting): ComputedRef<string> {
  const { t, te } = useI18n()
  return computed(() => {
    const { type, default_value: value, unit } = setting()
    if (type === 'bool') return value === 'true' ? t('settings.on') : t('settings.off')
    if (unit) return `${value} ${t(`units.${unit}`)}`
    return te(`choices.${value}`) ? t(`choices.${value}`) : value
  })
}
