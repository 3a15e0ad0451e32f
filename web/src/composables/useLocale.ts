import { computed } from 'vue'
import { i18n, naiveTexts, setLocale as load, type Locale } from '@/locales'
import { store } from '@/utils/storage'

/** The language: what is in force, and how to change it. */
export function useLocale() {
  const locale = computed(() => i18n.global.locale.value as Locale)
  async function setLocale(next: Locale) {
    await load(next)
    store.set('locale', next)
  }
  return {
    locale,
    setLocale,
    naiveLocale: computed(() => naiveTexts.value?.locale),
    naiveDate: computed(() => naiveTexts.value?.date)
  }
}
