import { ref, shallowRef } from 'vue'
import { ApiError, isAbort } from '@/api/errors'

/** What the tail asks for. */
export interface TailSource<T> {
  /** The newest rows, newest first. */
  newest: (signal: AbortSignal) => Promise<T[]>
  /** Rows that were stored after the row `id`, newest first; those that were stored first of all, if there are more. */
  after: (id: string, signal: AbortSignal) => Promise<{ items: T[]; hasMore: boolean }>
}

/**
 * Rows as they come: `start` begins with the newest, each `catchUp` adds what is new, `stop` ends it. At most `limit` are
 * kept, the oldest go. Calls that overlap become one.
 */
export function createTail<T extends { id: string }>(source: TailSource<T>, limit: number) {
  const rows = shallowRef<T[]>()
  const error = shallowRef<ApiError>()
  const isLoading = ref(false)
  let current: AbortController | undefined
  let isBehind = false

  async function start() {
    stop()
    rows.value = undefined
    await catchUp()
  }

  function stop() {
    current?.abort()
    current = undefined
    isLoading.value = false
  }

  async function catchUp(): Promise<void> {
    if (current) {
      isBehind = true
      return
    }
    const own = (current = new AbortController())
    isLoading.value = true
    try {
      do {
        isBehind = false
        await follow(own.signal)
      } while (isBehind && !own.signal.aborted)
      if (current === own) error.value = undefined
    } catch (failure) {
      if (!own.signal.aborted && !isAbort(failure)) tell(failure)
    } finally {
      if (current === own) stop()
    }
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const last = rows.value?.[0]?.id
    if (last === undefined) return add(await source.newest(signal), signal)
    try {
      const { items, hasMore } = await source.after(last, signal)
      add(items, signal)
      if (hasMore && items.length > 0 && !signal.aborted) await follow(signal)
    } catch (failure) {
      // Retention took the row that was the last one.
      if (!(failure instanceof ApiError && failure.kind === 'notFound')) throw failure
      const items = await source.newest(signal)
      if (!signal.aborted) rows.value = items.slice(0, limit)
    }
  }

  function add(items: T[], signal: AbortSignal) {
    if (signal.aborted) return
    const known = new Set(rows.value?.map(row => row.id))
    const fresh = items.filter(row => !known.has(row.id))
    if (fresh.length > 0 || rows.value === undefined) rows.value = [...fresh, ...(rows.value ?? [])].slice(0, limit)
  }

  function tell(failure: unknown) {
    error.value = failure instanceof ApiError ? failure : new ApiError('server', 0, '', String(failure))
  }

  return { rows, error, isLoading, start, stop, catchUp }
}
