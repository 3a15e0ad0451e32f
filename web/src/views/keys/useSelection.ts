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
  const isSomePicked = computed(() => shown().some(isPicked))
  const isAllPicked = computed(() => shown().length > 0 && shown().every(isPicked))

  function isPicked(key: Key): boolean {
    return picked.value.has(key.id)
  }

  function toggle(key: Key) {
    set([key], !isPicked(key))
  }

  /** Picks the page that is shown, or leaves it; the picked of other pages stay. */
  function pickPage(isWanted: boolean) {
    set(shown(), isWanted)
  }

  function set(changed: readonly Key[], isWanted: boolean) {
    const next = new Map(picked.value)
    changed.forEach(key => (isWanted ? next.set(key.id, key) : next.delete(key.id)))
    picked.value = next
  }

  /** The key is gone. */
  function forget(key: Key) {
    set([key], false)
  }

  function clear() {
    picked.value = new Map()
  }

  return { keys, isSomePicked, isAllPicked, isPicked, toggle, pickPage, forget, clear }
}

export type Selection = ReturnType<typeof useSelection>
