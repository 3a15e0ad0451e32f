import type { Schemas } from '@/api/types'

export type LogRow = Schemas['RequestLog']

export type OutcomeTone = 'success' | 'info' | 'warning' | 'orange' | 'danger' | 'plain'

const TONES: Record<Schemas['OutcomeClass'], OutcomeTone> = {
  success: 'success',
  abandoned: 'plain',
  client_error: 'info',
  rate_limited: 'warning',
  quota_exhausted: 'warning',
  key_invalid: 'orange',
  key_forbidden: 'orange',
  upstream_fault: 'danger'
}

/** Whether the gateway answered by itself, without asking a provider: a model filter, no key to use. */
export function isRefusal(row: Pick<LogRow, 'attempt' | 'is_success'>): boolean {
  return row.attempt === 0 && !row.is_success
}

/** Which rule of the classifier fired; the provider's text follows it in the evidence and is shown once. */
export function ruleOf({ evidence, error_message: message }: Pick<LogRow, 'evidence' | 'error_message'>): string {
  const text = evidence ?? ''
  return message && text.endsWith(`: ${message}`) ? text.slice(0, -message.length - 2) : text
}

/** How serious a row is. Rows of an older program have no class. */
export function toneOf(row: Pick<LogRow, 'outcome_class' | 'is_success'>): OutcomeTone {
  if (row.outcome_class) return TONES[row.outcome_class]
  return row.is_success ? 'success' : 'danger'
}
