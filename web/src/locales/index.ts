import type { NDateLocale, NLocale } from 'naive-ui'
import { shallowRef } from 'vue'
import { createI18n } from 'vue-i18n'
import { store } from '@/utils/storage'

export const LOCALES = ['zh-CN', 'en-US', 'ja-JP'] as const
export type Locale = (typeof LOCALES)[number]

/** Names of the languages in themselves. */
export const LOCALE_NAMES: Record<Locale, string> = { 'zh-CN': '简体中文', 'en-US': 'English', 'ja-JP': '日本語' }

/** The words and dates of the components. */
export interface NaiveTexts {
  locale: NLocale
  date: NDateLocale
}

const loaders: Record<Locale, () => Promise<{ default: Record<string, unknown>; naive: NaiveTexts }>> = {
  'zh-CN': () => import('./zh-CN'),
  'en-US': () => import('./en-US'),
  'ja-JP': () => import('./ja-JP')
}

export const i18n = createI18n({ legacy: false, locale: 'en-US', fallbackLocale: 'en-US', messages: {} })

/** Those of the language in force. */
export const naiveTexts = shallowRef<NaiveTexts>()

/** What was chosen, else what the browser prefers, else English. */
export function preferredLocale(): Locale {
  const chosen = LOCALES.find(locale => locale === store.get('locale'))
  if (chosen) return chosen
  for (const wanted of navigator.languages) {
    const match = LOCALES.find(locale => locale.slice(0, 2) === wanted.slice(0, 2).toLowerCase())
    if (match) return match
  }
  return 'en-US'
}

/** Loads a language's texts, which are a chunk of their own, and switches to it. */
export async function setLocale(locale: Locale): Promise<void> {
  const { default: messages, naive } = await loaders[locale]()
  if (!i18n.global.availableLocales.includes(locale as never)) i18n.global.setLocaleMessage(locale, messages as never)
  naiveTexts.value = naive
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
}

/** The language in force. */
export function currentLocale(): Locale {
  return i18n.global.locale.value as Locale
}
