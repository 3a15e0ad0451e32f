import { expect, it } from 'vitest'
import { shallowRef } from 'vue'
import type { Key } from './changes'
import { useSelection } from './useSelection'

const key = (id: number, status: Key['status'] = 'active') => ({ id, status, key_value: `sk-${id}` }) as Key

it('what was picked stays while pages are turned', () => {
  const page = shallowRef([key(1), key(2)])
  const selection = useSelection(() => page.value)
  selection.pickPage(true)
  expect([selection.isAllPicked.value, selection.isSomePicked.value]).toEqual([true, true])
  page.value = [key(3)]
  expect([selection.isAllPicked.value, selection.isSomePicked.value]).toEqual([false, false])
  selection.toggle(key(3))
  selection.toggle(key(2))
  expect(selection.keys.value.map(one => one.key_value)).toEqual(['sk-1', 'sk-3'])
  selection.pickPage(false)
  expect(selection.keys.value.map(one => one.id)).toEqual([1])
  selection.forget(key(1))
  expect(selection.keys.value).toEqual([])
})

it('what was picked is told as it is now', () => {
  const page = shallowRef([key(1)])
  const selection = useSelection(() => page.value)
  selection.toggle(key(1))
  page.value = [key(1, 'invalid')]
  expect(selection.keys.value[0]?.status).toBe('invalid')
  selection.clear()
  expect(selection.isPicked(key(1))).toBe(false)
})
