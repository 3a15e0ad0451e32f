import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useFormat } from '@/composables/useFormat'
import type { Group, Groups } from './useGroups'

/** Deletes a group with its keys, after its name was typed. */
export function useRemoveGroup(groups: Groups) {
  const { t } = useI18n()
  const { number } = useFormat()
  const remove = useAction(
    (id: number) => unwrap(api.DELETE('/api/groups/{id}', { params: { path: { id } } })).then(() => true),
    { done: t('keys.groupDeleted') }
  )

  return async (group: Group) => {
    const isSure = await confirm({
      title: t('keys.deleteTitle', { name: group.display_name || group.name }),
      text: t('keys.deleteText', { n: number(group.key_count ?? 0) }),
      action: t('keys.does.delete'),
      typed: group.name
    })
    if (!isSure || !(await remove.run(group.id))) return
    await groups.select(null, true)
    await groups.groups.refresh()
  }
}
