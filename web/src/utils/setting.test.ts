import { expect, it } from 'vitest'
import { brokenRule, defaultOf, type SettingForm, type SettingValue } from './setting'

const int: SettingForm = { type: 'int', min_value: 1, max_value: 100, is_secret: false }
const text: SettingForm = { type: 'string', is_secret: false }
const flag: SettingForm = { type: 'bool', is_secret: false }

it.each<[string, SettingForm, boolean, SettingValue | null, unknown]>([
  ['a number in range', int, true, 100, null],
  ['nothing', int, true, null, { rule: 'required' }],
  ['a fraction', int, true, 1.5, { rule: 'whole' }],
  ['too little', int, true, 0, { rule: 'atLeast', limit: 1 }],
  ['too much', int, true, 101, { rule: 'atMost', limit: 100 }],
  ['a number without limits', { type: 'int', is_secret: false }, true, -5, null],
  ['an empty text that must be there', text, true, ' ', { rule: 'required' }],
  ['an empty text that need not', text, false, '', null],
  ['a switch', flag, true, false, null]
])('%s', (_case, form, isRequired, value, expected) => {
  expect(brokenRule(form, isRequired, value)).toEqual(expected)
})

it('defaults have the type of their setting', () => {
  expect(defaultOf({ type: 'int', default_value: '600' })).toBe(600)
  expect(defaultOf({ type: 'bool', default_value: 'false' })).toBe(false)
  expect(defaultOf({ type: 'string', default_value: '' })).toBe('')
})
