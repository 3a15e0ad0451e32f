import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useFormat } from '@/composables/useFormat'

interface TaskLike {
  task_type: string
  group_name?: string
  result?: Record<string, unknown>
  error?: string
  is_cancelled?: boolean
}

const KNOWN = ['KEY_IMPORT', 'KEY_DELETE', 'KEY_VALIDATION']

/** A task in words: what it is, and how it ended. */
export function useTaskTexts(task: Ref<TaskLike | undefined>) {
  const { t, te } = useI18n()
  const { number } = useFormat()

  const title = computed(() => {
    const kind = task.value?.task_type ?? ''
    const name = KNOWN.includes(kind) ? t(`tasks.kinds.${kind}`) : kind
    return task.value?.group_name ? `${name} · ${task.value.group_name}` : name
  })

  const counts = computed(() =>
    Object.entries(task.value?.result ?? {})
      .filter(([name]) => te(`tasks.counts.${name}`))
      .map(([name, count]) => t(`tasks.counts.${name}`, { n: number(Number(count)) }))
      .join(' · ')
  )

  const outcome = computed(() => {
    if (task.value?.is_cancelled) return [t('tasks.cancelled'), counts.value].filter(Boolean).join(' · ')
    if (task.value?.error)
      return [t('tasks.failed', { error: task.value.error }), counts.value].filter(Boolean).join(' · ')
    return counts.value || t('tasks.done')
  })

  return { title, outcome }
}
