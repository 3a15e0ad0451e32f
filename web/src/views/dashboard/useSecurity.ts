import { computed, ref, type Ref } from 'vue'
import { store } from '@/utils/storage'
import type { Stats } from './useStats'

const DISMISSED = 'security-alert-dismissed'

/** What is weak about the secrets of this installation, unless someone here wants to hear no more of it. */
export function useSecurity(stats: Ref<Stats | undefined>) {
  const isDismissed = ref(store.get(DISMISSED) === 'true')
  const warnings = computed(() => (isDismissed.value ? [] : (stats.value?.security_warnings ?? [])))
  function dismiss() {
    isDismissed.value = true
    store.set(DISMISSED, 'true')
  }
  return { warnings, dismiss }
}
