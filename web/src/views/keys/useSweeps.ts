import { useI18n } from 'vue-i18n'
import { api, unwrap, whole } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useFormat } from '@/composables/useFormat'
import { taskStarted } from '@/composables/useTask'
import { saveFile } from '@/utils/saveFile'
import type { KeyState } from '@/utils/states'
import type { GroupStats } from './useGroupStats'
import type { Group } from './useGroups'

/** What a person does to all keys of a group, or to all in one state. */
export function useSweeps(
  group: () => Group,
  counts: () => GroupStats['key_stats'] | undefined,
  refresh: () => Promise<void>
) {
  const { t } = useI18n()
  const { number } = useFormat()
  const body = () => ({ group_id: group().id })
  const said = { done: (answer: { message: string }) => answer.message }

  const validate = useAction((status: KeyState | null) =>
    unwrap(api.POST('/api/keys/validate-group', { body: { ...body(), status: status ?? '' } }))
  )
  const restoreInvalid = useAction(() => whole(api.POST('/api/keys/restore-all-invalid', { body: body() })), said)
  const clearInvalid = useAction(() => whole(api.POST('/api/keys/clear-all-invalid', { body: body() })), said)
  const clearAll = useAction(() => whole(api.POST('/api/keys/clear-all', { body: body() })), said)
  const save = useAction(async (status: KeyState | null) => {
    const query = { group_id: group().id, status: status ?? ('all' as const) }
    const { data, error, response } = await api.GET('/api/keys/export', { params: { query }, parseAs: 'blob' })
    await whole(Promise.resolve({ data, error, response }))
    saveFile(data as Blob, `keys-${group().name}-${query.status}.txt`)
    return true
  })

  async function askAndClear(which: 'invalid' | 'all') {
    const n = number((which === 'all' ? counts()?.total : counts()?.invalid) ?? 0)
    const name = group().name
    const isAll = which === 'all'
    const isSure = await confirm({
      title: isAll ? t('keys.clearAllTitle', { n, name }) : t('keys.clearInvalidTitle', { n, name }),
      text: isAll ? t('keys.clearAllText') : t('keys.clearInvalidText'),
      action: t('keys.deleteKeys'),
      typed: isAll ? name : undefined
    })
    if (!isSure) return
    await (isAll ? clearAll : clearInvalid).run()
    await refresh()
  }

  return {
    async validate(status: KeyState | null) {
      if (await validate.run(status)) taskStarted()
    },
    async restoreInvalid() {
      await restoreInvalid.run()
      await refresh()
    },
    clear: askAndClear,
    save: save.run
  }
}
