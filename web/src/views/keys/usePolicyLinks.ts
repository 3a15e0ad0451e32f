import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useResource } from '@/composables/useResource'

type Link = Pick<Schemas['GroupPolicy'], 'policy_id' | 'priority' | 'is_active'>

/** Policies of a group, in the order in which they are asked. */
export function usePolicyLinks(group: () => number) {
  const { t } = useI18n()
  const path = () => ({ path: { id: group() } })
  const links = useResource(signal => unwrap(api.GET('/api/groups/{id}/policies', { params: path(), signal })), {
    live: ['policies', 'groups']
  })
  const policies = useResource(signal => unwrap(api.GET('/api/policies', { signal })), { live: ['policies'] })
  const others = computed(() => {
    const taken = new Set(links.data.value?.map(link => link.policy_id))
    return (policies.data.value ?? []).filter(policy => !taken.has(policy.id))
  })

  const store = useAction(
    async (wanted: Link[]) => {
      const body = wanted.map(({ policy_id, priority, is_active }) => ({ policy_id, priority, is_active }))
      await unwrap(api.PUT('/api/groups/{id}/policies', { params: path(), body: { policies: body } as never }))
      await links.refresh()
      return true
    },
    { done: t('keysPolicies.saved') }
  )
  const now = () => links.data.value ?? []

  return {
    links,
    others,
    isBusy: store.isRunning,
    attach: (id: number) => {
      const last = Math.max(0, ...now().map(link => link.priority))
      return store.run([...now(), { policy_id: id, priority: last + 10, is_active: true }])
    },
    detach: (id: number) => store.run(now().filter(link => link.policy_id !== id)),
    enable: (id: number, isActive: boolean) =>
      store.run(now().map(link => (link.policy_id === id ? { ...link, is_active: isActive } : link)))
  }
}
