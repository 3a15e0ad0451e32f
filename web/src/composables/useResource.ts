import { onScopeDispose, ref, shallowRef, watch, type Ref, type WatchSource } from 'vue'
import { ApiError, isAbort } from '@/api/errors'
import { reachability } from '@/api/reachability'
import { session } from '@/api/session'
import { liveness, onEvent, type LiveEvent, type Topic } from '@/live/events'
import { i18n } from '@/locales'

/** Between two loads that events ask for. */
const QUIET_MS = 1000
/** Between two loads where no events come. */
const POLL_MS = 10_000

export interface ResourceOptions {
  /** Loads again when one of these changes. What was loaded before is shown meanwhile. */
  watch?: WatchSource[]
  /** Loads again when the server tells of these. Where it does not, every `pollMs`. */
  live?: Topic[]
  /** Which events matter; all by default. */
  concerns?: (event: LiveEvent) => boolean
  /** Milliseconds between loads while no events come; 0 = never. Only with `live`. */
  pollMs?: number
  /** Whether to load at once; true by default. */
  immediate?: boolean
}

export interface Resource<T> {
  /** What was loaded last; undefined before the first success. An error does not take it away. */
  data: Ref<T | undefined>
  /** Why the last load failed. */
  error: Ref<ApiError | undefined>
  isLoading: Ref<boolean>
  refresh: () => Promise<void>
}

/**
 * Data of the server for a page: loads, keeps fresh, tells of errors.
 *
 *     const groups = useResource(signal => unwrap(api.GET('/api/groups', { signal })), { live: ['groups'] })
 */
export function useResource<T>(load: (signal: AbortSignal) => Promise<T>, options: ResourceOptions = {}): Resource<T> {
  const data = shallowRef<T>()
  const error = shallowRef<ApiError>()
  const isLoading = ref(false)
  let current: AbortController | undefined

  async function refresh() {
    current?.abort()
    const own = (current = new AbortController())
    isLoading.value = true
    try {
      const loaded = await load(own.signal)
      if (own.signal.aborted) return
      data.value = loaded
      error.value = undefined
    } catch (failure) {
      if (own.signal.aborted || isAbort(failure)) return
      error.value = failure instanceof ApiError ? failure : new ApiError('server', 0, '', String(failure))
    } finally {
      if (current === own) isLoading.value = false
    }
  }

  const { watch: sources = [], live = [], immediate = true } = options
  watch([i18n.global.locale, reachability.comebacks, ...sources], refresh)
  watch(session.isUsable, isUsable => isUsable && refresh())
  if (live.length > 0) keepFresh(refresh, live, options)
  onScopeDispose(() => current?.abort())
  if (immediate) void refresh()
  return { data, error, isLoading, refresh }
}

function isWorthwhile(): boolean {
  return reachability.isReachable.value && session.isUsable.value
}

function keepFresh(refresh: () => Promise<void>, topics: Topic[], options: ResourceOptions) {
  const { concerns = () => true, pollMs = POLL_MS } = options
  let pending: ReturnType<typeof setTimeout> | undefined
  let last = 0

  /** At once after a quiet second, else at the end of it. */
  function soon() {
    if (pending !== undefined) return
    pending = setTimeout(
      () => {
        pending = undefined
        last = Date.now()
        void refresh()
      },
      Math.max(0, last + QUIET_MS - Date.now())
    )
  }

  const forget = onEvent(event => {
    if (topics.includes(event.type) && concerns(event) && !document.hidden) soon()
  })
  const poll = setInterval(() => {
    if (pollMs > 0 && !liveness.isLive.value && !document.hidden && isWorthwhile()) soon()
  }, pollMs || POLL_MS)
  // What happened while nobody looked, or while the stream was away.
  const seen = () => !document.hidden && isWorthwhile() && soon()
  document.addEventListener('visibilitychange', seen)
  const stop = watch(liveness.isLive, isLive => isLive && soon())
  onScopeDispose(() => {
    forget()
    stop()
    clearInterval(poll)
    clearTimeout(pending)
    document.removeEventListener('visibilitychange', seen)
  })
}
