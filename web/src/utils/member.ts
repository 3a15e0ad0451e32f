import { computed, type Ref, type WritableComputedRef } from 'vue'

/** One member of an object as a model of its own. Setting makes a new object; undefined takes the member out. */
export function member<T extends object, K extends keyof T>(model: Ref<T>, name: K): WritableComputedRef<T[K]> {
  return computed({
    get: () => model.value[name],
    set: value => {
      const next = { ...model.value, [name]: value }
      model.value = Object.fromEntries(Object.entries(next).filter(([, one]) => one !== undefined)) as T
    }
  })
}
