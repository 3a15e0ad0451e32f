import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import type { AuditEntry } from './useAudit'

const KINDS = ['group', 'key', 'policy', 'settings', 'token', 'task', 'validation', 'pool', 'auth', 'encryption']
const OUTCOMES = ['done', 'failed', 'refused', 'started']

/** Rows of the audit log in words. */
export function useAuditTexts() {
  const { t, te } = useI18n()

  /** A dot at the end stands for all that begin so. */
  const actions = computed(() =>
    KINDS.map(kind => ({ value: `${kind}.`, label: t('audit.allOf', { kind: kindText(kind) }) }))
  )
  const outcomes = computed(() => OUTCOMES.map(value => ({ value, label: t(`audit.outcomes.${value}`) })))

  function kindText(kind: string): string {
    return te(`audit.kinds.${kind}`) ? t(`audit.kinds.${kind}`) : kind
  }

  function outcomeText({ outcome }: AuditEntry): string {
    return te(`audit.outcomes.${outcome}`) ? t(`audit.outcomes.${outcome}`) : outcome
  }

  /** The name of a token or node; others are told by their kind. */
  function actorText({ actor }: AuditEntry): string {
    if (actor.kind === 'token' || actor.kind === 'node') return actor.name
    return te(`audit.actors.${actor.kind}`) ? t(`audit.actors.${actor.kind}`) : actor.name
  }

  function subjectText({ subject }: AuditEntry): string {
    const name = subject.name || (subject.id === null ? '' : `#${subject.id}`)
    return [kindText(subject.type), name].filter(Boolean).join(' ')
  }

  return { actions, outcomes, outcomeText, actorText, subjectText }
}
