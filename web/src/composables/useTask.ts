import { computed, shallowRef, watch } from 'vue'
import { api, unwrap } from '@/api/client'
import { store } from '@/utils/storage'
import { useResource } from './useResource'

/** While a task runs, its progress is asked for this often: events tell of it, but not of every step. */
const RUNNING_MS = 1000
const CLOSED = 'last_closed_task'

type Refresh = () => Promise<void>
const watcher = shallowRef<Refresh>()

/** To be called after a request that started a task, so that its progress shows at once. */
export function taskStarted(): void {
  void watcher.value?.()
}

/** The long task of the installation: the one that runs, or ran last. Used once, by the layout. */
export function useTask() {
  const resource = useResource(signal => unwrap(api.GET('/api/tasks/status', { signal })), { live: ['task'] })
  const task = resource.data
  const closed = shallowRef(store.get(CLOSED))
  const isRunning = computed(() => task.value?.is_running ?? false)
  const isEnded = computed(() => Boolean(task.value?.finished_at) && task.value?.finished_at !== closed.value)
  const ratio = computed(() => share(task.value?.processed ?? 0, task.value?.total ?? 0))
  watcher.value = resource.refresh

  watch([task, isRunning], (_value, _before, onCleanup) => {
    if (!isRunning.value) return
    const timer = setTimeout(resource.refresh, RUNNING_MS)
    onCleanup(() => clearTimeout(timer))
  })

  function close() {
    closed.value = task.value?.finished_at ?? null
    if (closed.value) store.set(CLOSED, closed.value)
  }

  async function cancel() {
    await unwrap(api.POST('/api/tasks/cancel'))
    await resource.refresh()
  }

  return { task, isRunning, isEnded, ratio, close, cancel }
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, (part / whole) * 100) : 0
}
