import { dateEnUS, dateJaJP, dateZhCN, enUS, jaJP, zhCN } from 'naive-ui'
import { computed } from 'vue'
import { i18n, setLocale as load, type Locale } from '@/locales'
import { store } from '@/utils/storage'

const NAIVE = {
  'zh-CN': { locale: zhCN, date: dateZhCN },
  'en-US': { locale: enUS, date: dateEnUS },
  'ja-JP': { locale: jaJP, date: dateJaJP }
}

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
    naiveLocale: computed(() => NAIVE[locale.value].locale),
    naiveDate: computed(() => NAIVE[locale.value].date)
  }
}
