import { expect, it } from 'vitest'
import type { Key } from './changes'
import { useSelection } from './useSelection'

const key = (id: number) => ({ id, key_value: `sk-${id}` }) as Key

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
