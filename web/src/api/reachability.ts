import { readonly, ref } from 'vue'
import { baseUrl } from '@/utils/base'

/** How often a server that does not answer is asked again. */
const RETRY_MS = 3000

const isReachable = ref(true)
/** Grows each time the server is back, so that whoever shows data loads it again. */
const comebacks = ref(0)
let timer: ReturnType<typeof setTimeout> | undefined

async function probe() {
  try {
    await fetch(`${baseUrl}/health/live`, { cache: 'no-store' })
    reachability.answered()
  } catch {
    timer = setTimeout(probe, RETRY_MS)
  }
}

/** Whether the server answers at all. */
export const reachability = {
  isReachable: readonly(isReachable),
  comebacks: readonly(comebacks),
  answered() {
    if (isReachable.value) return
    clearTimeout(timer)
    isReachable.value = true
    comebacks.value += 1
  },
  failed() {
    if (!isReachable.value) return
    isReachable.value = false
    timer = setTimeout(probe, RETRY_MS)
  }
}
