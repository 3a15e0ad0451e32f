import type { Schemas } from '@/api/types'

export type SettingValue = Schemas['Setting']['value']

/** What a form has to know of a setting: of the system (`Setting`) or of a group (`GroupConfigOption`). */
export type SettingForm = Pick<Schemas['Setting'], 'type' | 'min_value' | 'max_value' | 'values' | 'unit' | 'is_secret'>

/** A rule that a value breaks, as a key of `rules.…` and what goes into its text. */
export interface BrokenRule {
  rule: 'required' | 'whole' | 'atLeast' | 'atMost'
  limit?: number
}

/** Whether the server would refuse a value for its form; what only the server knows it says itself. */
export function brokenRule(form: SettingForm, isRequired: boolean, value: SettingValue | null): BrokenRule | null {
  if (value === null) return { rule: 'required' }
  if (form.type === 'string') return isRequired && String(value).trim() === '' ? { rule: 'required' } : null
  if (form.type !== 'int') return null
  const number = Number(value)
  if (!Number.isInteger(number)) return { rule: 'whole' }
  if (form.min_value !== undefined && number < form.min_value) return { rule: 'atLeast', limit: form.min_value }
  if (form.max_value !== undefined && number > form.max_value) return { rule: 'atMost', limit: form.max_value }
  return null
}

/** The default of a setting in the type of its value; the API gives it as text. */
export function defaultOf(setting: Pick<Schemas['Setting'], 'type' | 'default_value'>): SettingValue {
  if (setting.type === 'int') return Number(setting.default_value)
  return setting.type === 'bool' ? setting.default_value === 'true' : setting.default_value
}
