import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap, whole } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useResource } from '@/composables/useResource'
import type { Policy } from './policy'

/** All policies and the names of the groups that use them. */
export function usePolicies() {
  const { t } = useI18n()
  const policies = useResource(signal => unwrap(api.GET('/api/policies', { signal })), { live: ['policies', 'groups'] })
  const groups = useResource(signal => unwrap(api.GET('/api/groups/list', { signal })), { live: ['groups'] })
  const names = computed(() => new Map((groups.data.value ?? []).map(({ id, name }) => [id, name])))

  const toggle = useAction(async ({ id, is_active }: Policy) => {
    await unwrap(api.PUT('/api/policies/{id}', { params: { path: { id } }, body: { is_active: !is_active } }))
    await policies.refresh()
  })

  const removal = useAction(
    async (id: number) => {
      const { message } = await whole(api.DELETE('/api/policies/{id}', { params: { path: { id } } }))
      await policies.refresh()
      return message
    },
    { done: message => message }
  )

  function groupsOf(policy: Policy): string[] {
    return policy.group_ids.map(id => names.value.get(id) ?? `#${id}`)
  }

  /** Answers whether it is gone. */
  async function remove(policy: Policy): Promise<boolean> {
    const used = groupsOf(policy)
    const text = used.length > 0 ? t('policies.deleteUsed', { groups: used.join(', ') }) : t('policies.deleteUnused')
    const title = t('policies.deleteTitle', { name: policy.name })
    if (!(await confirm({ title, text, action: t('policies.delete') }))) return false
    return (await removal.run(policy.id)) !== undefined
  }

  return { policies, groups, names, toggle, remove, groupsOf }
}

export type Policies = ReturnType<typeof usePolicies>
