import { mount } from '@vue/test-utils'
import { describe, expect, it } from 'vitest'
import { i18n } from '@/locales'
import type { SettingForm, SettingValue } from '@/utils/setting'
import SettingInput from './SettingInput.vue'

function input(form: Partial<SettingForm>, modelValue: SettingValue | null) {
  return mount(SettingInput, {
    props: { form: { type: 'string', is_secret: false, ...form }, label: 'Setting', modelValue },
    global: { plugins: [i18n] }
  })
}

describe('an input for a setting', () => {
  it('shows an empty text as nothing', () => {
    expect(input({}, '').find('input').element.value).toBe('')
  })

  it('hides secrets', () => {
    expect(input({ is_secret: true }, 'sk-1').find('input').attributes('type')).toBe('password')
  })

  it('keeps a number that is out of range, so that the rule can be told', async () => {
    const one = input({ type: 'int', min_value: 1, max_value: 9 }, 5)
    await one.find('input').setValue('0')
    await one.find('input').trigger('blur')
    expect(one.emitted('update:modelValue')?.at(-1)).toEqual([0])
  })

  it('tells of an emptied number', async () => {
    const one = input({ type: 'int' }, 5)
    await one.find('input').setValue('')
    await one.find('input').trigger('blur')
    expect(one.emitted('update:modelValue')?.at(-1)).toEqual([null])
  })

  it('switches', async () => {
    const one = input({ type: 'bool' }, false)
    await one.find('[role=switch]').trigger('click')
    expect(one.emitted('update:modelValue')).toEqual([[true]])
  })
})
