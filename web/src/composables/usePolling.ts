import { onScopeDispose } from 'vue'
import { reachability } from '@/api/reachability'
import { session } from '@/api/session'

/** Asks again every `ms` while `isOn` and someone can see the answer: for what changes without an event. */
export function usePolling(refresh: () => unknown, ms: number, isOn: () => boolean = () => true) {
  const timer = setInterval(() => {
    const isWorthwhile = !document.hidden && reachability.isReachable.value && session.isUsable.value
    if (isWorthwhile && isOn()) refresh()
  }, ms)
  onScopeDispose(() => clearInterval(timer))
}
