import type { Schemas } from '@/api/types'

export type Policy = Schemas['Policy']
export type PolicyType = Schemas['PolicyType']
export type Rule = Partial<Schemas['PolicyRule']>
export type Condition = Partial<Schemas['PolicyCondition']>
export type Action = Schemas['PolicyAction']
export type Operator = Schemas['Operator']
export type ConditionType = Schemas['ConditionType']
export type Config = Schemas['PolicyConfig']

export const TYPES = ['retry', 'degradation', 'model_filter', 'rate_limit'] as const satisfies PolicyType[]
export const SCOPES = ['group', 'key', 'proxy_key', 'ip'] as const satisfies Schemas['LimitScope'][]
export const CONDITIONS = [
  'status_code',
  'error_class',
  'error_message',
  'error_type',
  'model',
  'failure_count',
  'request_count'
] as const satisfies ConditionType[]
/** Classes of failures. */
export const CLASSES = [
  'rate_limited',
  'quota_exhausted',
  'key_invalid',
  'key_forbidden',
  'upstream_fault',
  'client_error',
  'abandoned'
] as const satisfies Schemas['OutcomeClass'][]

const ACTIONS: Partial<Record<PolicyType, Action[]>> = {
  retry: ['retry', 'pass', 'degrade', 'disable', 'invalidate'],
  degradation: ['degrade', 'disable', 'invalidate', 'rest', 'spare']
}
const TEXT_OPERATORS: Operator[] = ['equals', 'contains', 'icontains', 'regex', 'in', 'not_in']
const NUMBER_OPERATORS: Operator[] = ['equals', 'gt', 'gte', 'lt', 'lte', 'in', 'not_in']
const NUMBERS: ConditionType[] = ['status_code', 'failure_count', 'request_count']

/** A policy as it is being edited: what the API takes, members that the form does not know among them. */
export type Draft = Omit<Partial<Schemas['PolicyCreate']>, 'type'> & { type: PolicyType; config: Config }

/** What a rule of a policy may do. */
export function actionsOf(type: PolicyType): Action[] {
  return ACTIONS[type] ?? []
}

export function isNumber(type: ConditionType | undefined): boolean {
  return type !== undefined && NUMBERS.includes(type)
}

/** Operators that make sense for a condition, the one in use among them. */
export function operatorsOf({ type, operator }: Condition): Operator[] {
  const usual = isNumber(type) ? NUMBER_OPERATORS : TEXT_OPERATORS
  return operator && !usual.includes(operator) ? [...usual, operator] : usual
}

export function takesList(operator: Operator | undefined): boolean {
  return operator === 'in' || operator === 'not_in'
}

/** Members of a rule that count for its action. */
export function membersOf(action: Action | undefined): { isRetry: boolean; hasDuration: boolean } {
  return { isRetry: action === 'retry', hasDuration: ['degrade', 'disable', 'rest'].includes(action ?? '') }
}

/** What a new policy of a type starts with. */
export function emptyConfig(type: PolicyType): Config {
  if (type === 'model_filter') return { type: 'include', patterns: [] }
  if (type === 'rate_limit') return { scope: 'group', limit: 100, interval: '1m' }
  return { rules: [newRule(type, [])] }
}

export function newDraft(): Draft {
  return { name: '', description: '', type: 'retry', priority: 0, is_active: true, config: emptyConfig('retry') }
}

/** Something to begin with that the server takes. */
export function newCondition(): Schemas['PolicyCondition'] {
  return { type: 'status_code', operator: 'equals', value: '429' }
}

/** A rule that is asked after all others. */
export function newRule(type: PolicyType, others: Rule[]): Rule & { action: Action } {
  const priority = others.length === 0 ? 1 : Math.max(...others.map(rule => rule.priority ?? 0)) + 1
  return {
    name: '',
    priority,
    conditions: [newCondition()],
    action: type === 'retry' ? 'retry' : 'rest',
    ...firstMembers(type)
  }
}

function firstMembers(type: PolicyType): Rule {
  return type === 'retry' ? { max_retries: 2, backoff_ms: 1000 } : { duration: '1m' }
}

/** Puts a rule before or behind its neighbour. Priorities stay in their places, as they are what the server goes by. */
export function moveRule<T extends Rule>(rules: readonly T[], from: number, to: number): T[] {
  const moved = [...rules]
  const [rule] = moved.splice(from, 1)
  if (!rule || to < 0 || to > moved.length) return [...rules]
  moved.splice(to, 0, rule)
  return moved.map((one, index) => ({ ...one, priority: rules[index]?.priority ?? index + 1 }))
}

/** The stored policy as a draft, its rules in the order in which they are asked. */
export function draftOf({ name, description, type, priority, is_active, config }: Policy): Draft {
  return tidy({ name, description, type, priority, is_active, config })
}

/** Rules into the order in which they are asked, and to where the form looks for them. */
export function tidy(draft: Draft & { rules?: Config['rules'] }): Draft {
  const { rules: beside, ...rest } = draft
  const rules = rest.config.rules ?? beside
  if (!Array.isArray(rules)) return rest
  const sorted = [...rules].sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  return { ...rest, config: { ...rest.config, rules: sorted } }
}
