import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useResource } from '@/composables/useResource'
import { attached, detached, switched, type Link } from './links'

type Brief = { id: number; name: string }

/** The groups that use a policy, and which do not yet. */
export function useLinks(policy: Ref<Schemas['Policy']>, groups: Ref<Brief[]>, changed: () => Promise<void>) {
  const { t } = useI18n()
  const id = computed(() => policy.value.id)
  const used = computed(() => policy.value.group_ids.join())

  const links = useResource(
    async signal => {
      const of = (group: number) => linksOf(group, signal)
      const lists = await Promise.all(policy.value.group_ids.map(async group => [group, await of(group)] as const))
      return lists.map(([group, all]) => ({
        group,
        place: all.findIndex(link => link.policy_id === id.value) + 1,
        count: all.length,
        is_active: all.find(link => link.policy_id === id.value)?.is_active ?? false
      }))
    },
    { watch: [id, used], live: ['policies'], pollMs: 0 }
  )

  const rows = computed(() =>
    (links.data.value ?? []).map(row => ({
      ...row,
      name: groups.value.find(group => group.id === row.group)?.name ?? `#${row.group}`
    }))
  )
  const free = computed(() =>
    groups.value
      .filter(group => !policy.value.group_ids.includes(group.id))
      .map(group => ({ value: group.id, label: group.name }))
  )

  /** Reads what the group has and writes it back, changed. */
  const change = useAction(
    async (group: number, edit: (links: Link[]) => Link[]) => {
      const policies = edit(await linksOf(group))
      await unwrap(api.PUT('/api/groups/{id}/policies', { params: { path: { id: group } }, body: { policies } }))
      await changed()
      await links.refresh()
    },
    { done: t('policies.linksSaved') }
  )

  return {
    links,
    rows,
    free,
    isBusy: change.isRunning,
    attach: (group: number) => change.run(group, all => attached(all, id.value)),
    detach: (group: number) => change.run(group, all => detached(all, id.value)),
    turn: (group: number, isActive: boolean) => change.run(group, all => switched(all, id.value, isActive))
  }
}

function linksOf(id: number, signal?: AbortSignal) {
  return unwrap(api.GET('/api/groups/{id}/policies', { params: { path: { id } }, signal }))
}
