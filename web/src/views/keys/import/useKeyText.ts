import { computed, ref, shallowRef, watch } from 'vue'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useResource } from '@/composables/useResource'
import { taskStarted } from '@/composables/useTask'
import type { Group } from '../useGroups'
import { hintsOf, readKeyText } from './keyText'

/** Characters from which on a text is sent as a file: a text field gets slow with it. */
export const BIG_TEXT = 300_000
/** Bytes up to which a file is looked into; a browser needs about a second for so much. */
const READABLE = 20_000_000
const POLL_MS = 700

export type NewKeyState = 'default' | 'pending' | 'active'

/** Keys to add or delete, as text or file, and the task that does it. */
export function useKeyText(kind: 'add' | 'delete', group: () => Group) {
  const text = ref('')
  const file = shallowRef<File>()
  /** What is in the file, as far as it is looked into. */
  const fileText = ref<string>()
  const newState = ref<NewKeyState>('default')
  const started = shallowRef<Schemas['Task']>()

  const reading = computed(() => {
    const content = file.value ? fileText.value : text.value
    return content === undefined ? undefined : readKeyText(content)
  })
  const hints = computed(() => (reading.value ? hintsOf(reading.value) : []))
  const isReady = computed(() => (reading.value ? reading.value.keys > 0 : file.value !== undefined))

  async function take(taken: File | undefined) {
    file.value = taken
    fileText.value = undefined
    const content = taken && taken.size <= READABLE ? await taken.text() : undefined
    if (file.value === taken) fileText.value = content
  }

  const start = useAction(
    async () => {
      const state = newState.value === 'default' ? undefined : newState.value
      const form = file.value && formOf(file.value, group().id, state)
      const body = { group_id: group().id, keys_text: text.value, new_key_state: state }
      started.value = await (kind === 'add' ? add(form, body) : remove(form, body))
      taskStarted()
      await task.refresh()
      return true
    },
    { isQuiet: true }
  )

  const task = useResource(signal => unwrap(api.GET('/api/tasks/status', { signal })), {
    live: ['task'],
    pollMs: 0,
    immediate: false
  })
  /** The task that was started here; another one may run by now. */
  const own = computed(() => {
    const now = task.data.value
    return started.value && now?.started_at === started.value.started_at ? now : undefined
  })
  const isRunning = computed(() => own.value?.is_running ?? false)
  watch([task.data, isRunning], (_now, _before, onCleanup) => {
    if (!isRunning.value) return
    const timer = setTimeout(task.refresh, POLL_MS)
    onCleanup(() => clearTimeout(timer))
  })
  const cancel = useAction(() => unwrap(api.POST('/api/tasks/cancel')))

  /** For the next ones. */
  function reset() {
    text.value = ''
    file.value = fileText.value = undefined
    started.value = undefined
    start.clear()
  }

  return { text, file, take, newState, reading, hints, isReady, start, started, own, isRunning, cancel, reset }
}

export type KeyText = ReturnType<typeof useKeyText>

/** The server takes files whose name ends with .txt; what is in one does not depend on its name. */
function formOf(file: File, group: number, state: string | undefined): FormData {
  const form = new FormData()
  form.set('group_id', String(group))
  if (state) form.set('new_key_state', state)
  form.set('file', file, file.name.toLowerCase().endsWith('.txt') ? file.name : `${file.name}.txt`)
  return form
}

interface TextBody {
  group_id: number
  keys_text: string
  new_key_state?: 'pending' | 'active'
}

function add(form: FormData | undefined, body: TextBody) {
  if (!form) return unwrap(api.POST('/api/keys/add-async', { body }))
  return unwrap(api.POST('/api/keys/add-async', { body: form as never, bodySerializer: () => form }))
}

function remove(form: FormData | undefined, { group_id, keys_text }: TextBody) {
  if (!form) return unwrap(api.POST('/api/keys/delete-async', { body: { group_id, keys_text } }))
  return unwrap(api.POST('/api/keys/delete-async', { body: form as never, bodySerializer: () => form }))
}
