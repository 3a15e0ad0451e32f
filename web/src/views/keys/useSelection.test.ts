import { expect, it } from 'vitest'
import { shallowRef } from 'vue'
import type { Key } from './changes'
import { useSelection } from './useSelection'

const key = (id: number) => ({ id, key_value: `sk-${id}` }) as Key

it('what was picked is told as it is now', () => {
  const page = shallowRef([{ ...key(1), status: 'active' } as Key])
  const selection = useSelection(() => page.value)
  selection.toggle(key(1))
  page.value = [{ ...key(1), status: 'invalid' } as Key]
  expect(selection.keys.value[0]?.status).toBe('invalid')
})

it('what was picked stays while pages are turned, and nothing unknown is picked', () => {
  let page = [key(1), key(2)]
  const selection = useSelection(() => page)
  selection.ids.value = [1, 2]
  page = [key(3)]
  selection.ids.value = [...selection.ids.value, 3, 99]
  selection.toggle(key(2))
  expect(selection.keys.value.map(one => one.key_value)).toEqual(['sk-1', 'sk-3'])
  selection.toggle(key(3))
  expect(selection.ids.value).toEqual([1])
  selection.clear()
  expect(selection.keys.value).toEqual([])
})
