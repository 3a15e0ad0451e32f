import { computed, nextTick, reactive } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap, whole } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useResource } from '@/composables/useResource'
import { brokenRule, defaultOf, type SettingValue } from '@/utils/setting'

export type Setting = Schemas['Setting']

/** The settings as the server has them, and what was typed over them. */
export function useSettings() {
  const { t } = useI18n()
  const settings = useResource(signal => unwrap(api.GET('/api/settings', { signal })), { live: ['settings'] })
  const draft = reactive(new Map<string, SettingValue | null>())

  const all = computed(() => new Map(settings.data.value?.flatMap(of => of.settings).map(one => [one.key, one])))
  /** Only these are sent, so that what others changed meanwhile stays. */
  const changes = computed(() => [...draft].filter(([key, value]) => all.value.get(key)?.value !== value))
  const broken = computed(
    () => new Map(changes.value.map(([key]) => [key, ruleOf(key)] as const).filter(([, text]) => text))
  )

  const save = useAction(() => whole(api.PUT('/api/settings', { body: Object.fromEntries(changes.value) as never })), {
    done: t('settings.saved'),
    isQuiet: true
  })

  function ruleOf(key: string): string {
    const setting = all.value.get(key)
    const found = setting && brokenRule(setting, setting.required, draft.get(key) ?? null)
    return found ? t(`rules.${found.rule}`, { n: found.limit ?? '' }) : ''
  }

  function valueOf(setting: Setting): SettingValue | null {
    return draft.has(setting.key) ? (draft.get(setting.key) ?? null) : setting.value
  }

  function change(setting: Setting, value: SettingValue | null) {
    draft.set(setting.key, value)
    save.clear()
  }

  function problemOf(setting: Setting): string {
    return broken.value.get(setting.key) || save.fields.value[setting.key] || ''
  }

  function isDefault(setting: Setting): boolean {
    return valueOf(setting) === defaultOf(setting)
  }

  function isUnsaved(setting: Setting): boolean {
    return changes.value.some(([key]) => key === setting.key)
  }

  function discard() {
    draft.clear()
    save.clear()
  }

  async function submit() {
    if (broken.value.size > 0 || !(await save.run())) return showProblem()
    await settings.refresh()
    draft.clear()
  }

  return { settings, changes, broken, save, valueOf, change, problemOf, isDefault, isUnsaved, discard, submit }
}

/** Brings the first message into view. */
async function showProblem() {
  await nextTick()
  document.querySelector('form [role=alert]')?.scrollIntoView({ block: 'center', behavior: 'smooth' })
}

export type SettingsForm = ReturnType<typeof useSettings>
