import { useI18n } from 'vue-i18n'
import type { Config, PolicyType } from './policy'

/** Patterns that a summary names. */
const NAMED = 3

/** What a policy does, in a line. */
export function useSummary() {
  const { t, te } = useI18n()

  return ({ type, config }: { type: PolicyType; config: Config }): string => {
    if (type === 'rate_limit') return limitText(config)
    if (type === 'model_filter') return filterText(config)
    const actions = (config.rules ?? []).map(({ action }) =>
      te(`policies.actions.${action}`) ? t(`policies.actions.${action}`) : action
    )
    return t('policies.rulesText', { n: actions.length, actions: [...new Set(actions)].join(', ') })
  }

  function limitText({ limit, interval, scope = 'group' }: Config): string {
    return t('policies.limitText', {
      limit: limit ?? '–',
      interval: interval ?? '–',
      scope: t(`policies.scopes.${scope}`)
    })
  }

  function filterText({ type, patterns = [] }: Config): string {
    const more = patterns.length > NAMED ? ', …' : ''
    const named = patterns.slice(0, NAMED).join(', ') + more
    return type === 'exclude'
      ? t('policies.excludeText', { patterns: named })
      : t('policies.includeText', { patterns: named })
  }
}
