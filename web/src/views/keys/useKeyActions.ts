import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { useFormat } from '@/composables/useFormat'
import { mask } from '@/utils/mask'
import type { Key } from './changes'

/** Calls for single keys that run at the same time. */
const AT_ONCE = 8

/** What a person does to one key or to those that were picked. */
export function useKeyActions(group: () => number, refresh: () => Promise<void>) {
  const { t } = useI18n()
  const { number } = useFormat()
  const told = (count: number) => t('keys.changedCount', { n: number(count) })

  /** The list endpoint restores invalid keys only; the others are ordered one by one. */
  const restore = useAction(
    async (keys: readonly Key[]) => {
      const invalid = keys.filter(key => key.status === 'invalid').map(key => key.key_value)
      const others = keys.filter(key => key.status !== 'invalid' && key.status !== 'active')
      const named = { group_id: group(), keys: invalid }
      const restored = invalid.length > 0 ? await unwrap(api.POST('/api/keys/restore-multiple', { body: named })) : null
      await inTurns(others, key => order(key, 'active'))
      return (restored?.restored_count ?? 0) + others.length
    },
    { done: told }
  )
  const disable = useAction(
    async (keys: readonly Key[]) => {
      const serving = keys.filter(key => key.status !== 'disabled')
      await inTurns(serving, key => order(key, 'disabled'))
      return serving.length
    },
    { done: told }
  )
  const remove = useAction(
    (keys: readonly Key[]) =>
      unwrap(
        api.POST('/api/keys/delete-multiple', { body: { group_id: group(), keys: keys.map(key => key.key_value) } })
      ),
    { done: ({ deleted_count }) => t('keys.deletedCount', { n: number(deleted_count) }) }
  )
  const test = useAction((keys: readonly Key[]) =>
    unwrap(api.POST('/api/keys/test-multiple', { body: { group_id: group(), keys: keys.map(key => key.key_value) } }))
  )
  const all = [restore, disable, remove, test]

  async function run<R>(action: { run: (keys: readonly Key[]) => Promise<R> }, keys: readonly Key[]) {
    const result = await action.run(keys)
    await refresh()
    return result
  }

  async function askAndRemove(keys: readonly Key[]): Promise<boolean> {
    const [only] = keys
    const isSure = await confirm({
      title:
        keys.length === 1 && only
          ? t('keys.deleteKeyTitle', { key: mask(only.key_value) })
          : t('keys.deleteKeysTitle', { n: number(keys.length) }),
      text: t('keys.deleteKeysText'),
      action: t('keys.deleteKeys')
    })
    return isSure && (await run(remove, keys)) !== undefined
  }

  return {
    restore: (keys: readonly Key[]) => run(restore, keys),
    disable: (keys: readonly Key[]) => run(disable, keys),
    test: (keys: readonly Key[]) => run(test, keys),
    remove: askAndRemove,
    isBusy: () => all.some(action => action.isRunning.value)
  }
}

export type KeyActions = ReturnType<typeof useKeyActions>
export type Tested = Schemas['KeysTested']

function order(key: Key, state: 'active' | 'disabled') {
  return unwrap(api.PATCH('/api/keys/{id}', { params: { path: { id: key.id } }, body: { state } }))
}

/** Not more than a few at once; ends with the first that fails. */
async function inTurns<T>(items: readonly T[], act: (item: T) => Promise<unknown>) {
  for (let at = 0; at < items.length; at += AT_ONCE) await Promise.all(items.slice(at, at + AT_ONCE).map(act))
}
