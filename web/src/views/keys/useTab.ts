import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** Which part of a group is shown; it stands in the address as `tab`, the first one without. */
export function useTab<T extends string>(tabs: () => readonly [T, ...T[]]) {
  const route = useRoute()
  const router = useRouter()
  return computed<T>({
    get: () => tabs().find(tab => tab === route.query.tab) ?? tabs()[0],
    set: tab => {
      const query = { ...route.query, tab: tab === tabs()[0] ? undefined : tab }
      void router.replace({ query })
    }
  })
}
