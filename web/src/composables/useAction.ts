import { useMessage } from 'naive-ui'
import { ref, shallowRef } from 'vue'
import { ApiError } from '@/api/errors'
import { explain } from '@/api/explain'

export interface ActionOptions<R> {
  /** What to say when it went well; a function sees the result. Nothing is said without. */
  done?: string | ((result: R) => string)
  /** Says nothing about errors; the caller shows `error` itself. */
  isQuiet?: boolean
}

/**
 * A change that the user asked for: one at a time, its end told in a toast, errors of fields kept for the form.
 *
 *     const save = useAction((name: string) => unwrap(api.POST(…)), { done: t('common.saved') })
 *     await save.run('team')   // the result, or undefined when it failed
 */
export function useAction<A extends unknown[], R>(act: (...args: A) => Promise<R>, options: ActionOptions<R> = {}) {
  const message = useMessage()
  const isRunning = ref(false)
  const error = shallowRef<ApiError>()
  /** What is wrong with which field. */
  const fields = shallowRef<Readonly<Record<string, string>>>({})

  async function run(...args: A): Promise<R | undefined> {
    if (isRunning.value) return undefined
    isRunning.value = true
    clear()
    try {
      const result = await act(...args)
      const said = typeof options.done === 'function' ? options.done(result) : options.done
      if (said) message.success(said)
      return result
    } catch (failure) {
      error.value = failure instanceof ApiError ? failure : new ApiError('server', 0, '', String(failure))
      fields.value = error.value.fields
      if (!options.isQuiet && error.value.kind !== 'unauthorized') message.error(explain(error.value))
      return undefined
    } finally {
      isRunning.value = false
    }
  }

  function clear() {
    error.value = undefined
    fields.value = {}
  }

  return { run, isRunning, error, fields, clear }
}
