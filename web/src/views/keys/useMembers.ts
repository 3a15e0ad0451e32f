import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useResource } from '@/composables/useResource'
import type { Group } from './useGroups'

export type Member = Schemas['SubGroup']

/** Members of an aggregate group and the groups that may become some. */
export function useMembers(group: () => Group, all: () => readonly Group[]) {
  const { t } = useI18n()
  const path = () => ({ id: group().id })
  const members = useResource(
    signal => unwrap(api.GET('/api/groups/{id}/sub-groups', { params: { path: path() }, signal })),
    { live: ['groups', 'keys'] }
  )
  const isEmpty = computed(() => members.data.value?.length === 0)
  const weights = computed(() => (members.data.value ?? []).reduce((sum, { weight }) => sum + weight, 0))
  const candidates = computed(() => {
    const taken = new Set(members.data.value?.map(member => member.group.id))
    return all().filter(
      ({ id, group_type, channel_type }) =>
        group_type === 'standard' && channel_type === group().channel_type && !taken.has(id)
    )
  })

  const add = useAction(
    async (id: number, weight: number) => {
      await unwrap(
        api.POST('/api/groups/{id}/sub-groups', {
          params: { path: path() },
          body: { sub_groups: [{ group_id: id, weight }] }
        })
      )
      await members.refresh()
      return true
    },
    { done: t('keysMembers.added') }
  )
  const weigh = useAction(async (member: Member, weight: number) => {
    const params = { path: { ...path(), sub_id: member.group.id } }
    await unwrap(api.PUT('/api/groups/{id}/sub-groups/{sub_id}/weight', { params, body: { weight } }))
    await members.refresh()
    return true
  })
  const remove = useAction(
    async (member: Member) => {
      const params = { path: { ...path(), sub_id: member.group.id } }
      await unwrap(api.DELETE('/api/groups/{id}/sub-groups/{sub_id}', { params }))
      await members.refresh()
      return true
    },
    { done: t('keysMembers.removed') }
  )

  async function askAndRemove(member: Member) {
    const isSure = await confirm({
      title: t('keysMembers.removeTitle', { name: member.group.name, of: group().name }),
      text: t('keysMembers.removeText'),
      action: t('keysMembers.remove')
    })
    if (isSure) await remove.run(member)
  }

  return { members, isEmpty, weights, candidates, add, weigh, askAndRemove }
}
