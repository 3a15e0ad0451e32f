import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { draftOf, type Draft, type Policy } from './policy'
import { bare, provideProblems } from './problems'
import { useDraft } from './useDraft'
import { useDryRun } from './useDryRun'

/** Everything the editor does with a policy: `stored` is undefined for a new one. */
export function useEditor(stored: Ref<Policy | undefined>, initial: Draft) {
  const { t } = useI18n()
  const draft = useDraft(initial)
  const dryRun = useDryRun(draft.draft)

  const save = useAction(
    async () => {
      const body = draft.draft.value as Required<Draft>
      const id = stored.value?.id
      const call =
        id === undefined
          ? api.POST('/api/policies', { body })
          : api.PUT('/api/policies/{id}', { params: { path: { id } }, body })
      const policy = await unwrap(call)
      draft.reset(draftOf(policy))
      return policy
    },
    { done: t('policies.saved') }
  )

  /** What the server says of the fields: when it checked the draft, and when it refused to save it. */
  const fields = computed(() => ({ ...dryRun.fields.value, ...bare(save.fields.value) }))
  provideProblems(fields)
  const problems = computed(() => (draft.isBroken.value ? draft.broken.value : draft.placed(fields.value)))

  function change(next: Draft) {
    draft.draft.value = next
    save.clear()
  }

  return { ...draft, dryRun, save, fields, problems, change }
}

export type Editor = ReturnType<typeof useEditor>
