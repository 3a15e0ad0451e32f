import type { DataTableRowKey } from 'naive-ui'
import { computed, shallowRef } from 'vue'
import type { Key } from './changes'

/** Keys that were picked, over all pages. They are kept whole, since the API takes values. */
export function useSelection(shown: () => readonly Key[]) {
  const picked = shallowRef<ReadonlyMap<number, Key>>(new Map())
  /** As they are now, as far as the page shows them. */
  const keys = computed(() => {
    const now = new Map(shown().map(key => [key.id, key]))
    return [...picked.value.values()].map(key => now.get(key.id) ?? key)
  })
  const ids = computed({
    get: (): DataTableRowKey[] => [...picked.value.keys()],
    set: wanted => {
      const known = new Map([...picked.value, ...shown().map(key => [key.id, key] as const)])
      const found = wanted.flatMap(id => known.get(Number(id)) ?? [])
      picked.value = new Map(found.map(key => [key.id, key]))
    }
  })

  function toggle(key: Key) {
    const isPicked = picked.value.has(key.id)
    ids.value = isPicked ? ids.value.filter(id => id !== key.id) : [...ids.value, key.id]
  }

  function clear() {
    picked.value = new Map()
  }

  return { keys, ids, toggle, clear }
}

export type Selection = ReturnType<typeof useSelection>
