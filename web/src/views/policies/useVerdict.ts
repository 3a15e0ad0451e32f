import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import type { Schemas } from '@/api/types'

export interface VerdictLine {
  name: string
  text: string
  tone?: 'good' | 'bad' | 'plain'
}

/** What a dry run says, in words. */
export function useVerdict(verdict: Ref<Schemas['PolicyEvaluation']>) {
  const { t, te } = useI18n()

  function filter(): VerdictLine[] {
    const of = verdict.value.model_filter
    if (!of) return []
    const by = [of.policy, of.pattern].filter(Boolean).join(' · ')
    const text = of.allowed ? t('policies.run.allowed') : t('policies.run.denied')
    return [{ name: t('policies.run.filter'), text: by ? `${text} (${by})` : text, tone: of.allowed ? 'good' : 'bad' }]
  }

  function rules(): VerdictLine[] {
    const of = verdict.value
    if (of.class === null) return []
    const named = of.rules.map(({ policy, rule, index }) => `${policy}: ${rule || `#${index + 1}`}`)
    const text = named.length > 0 ? named.join('; ') : t('policies.run.noRule')
    const name = te(`classes.${of.class}`) ? t(`classes.${of.class}`) : of.class
    return [
      { name: t('policies.run.classIs'), text: name, tone: 'plain' },
      { name: t('policies.run.rule'), text, tone: named.length > 0 ? undefined : 'plain' }
    ]
  }

  function limits(): VerdictLine[] {
    const texts = verdict.value.rate_limits.map(({ scope, limit, interval }) =>
      t('policies.limitText', { limit, interval, scope: t(`policies.scopes.${scope}`) })
    )
    return texts.length > 0 ? [{ name: t('policies.run.limits'), text: texts.join('; ') }] : []
  }

  return computed<VerdictLine[]>(() => {
    const { request, key, client } = verdict.value
    const fate = t(`policies.run.request.${request.action}`, {
      n: request.max_retries ?? 0,
      ms: request.backoff_ms ?? 0
    })
    const keyFate = t(`policies.run.key.${key.action}`)
    const answer = t(`policies.run.client.${client.gets}`)
    return [
      ...filter(),
      ...rules(),
      { name: t('policies.run.requestName'), text: fate },
      { name: t('policies.run.keyName'), text: key.duration ? `${keyFate} (${key.duration})` : keyFate },
      { name: t('policies.run.clientName'), text: client.status ? `${answer} (${client.status})` : answer },
      ...limits()
    ]
  })
}
