import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { confirm } from '@/composables/useConfirm'
import { usePolling } from '@/composables/usePolling'
import { useResource } from '@/composables/useResource'

/** While a rotation runs its progress is asked for this often: no event tells of it. */
const POLL_MS = 1000

/** How secrets are stored, and the rotation of the key they are under. */
export function useEncryptionState() {
  const { t } = useI18n()
  const status = useResource(signal => unwrap(api.GET('/api/encryption', { signal })))
  const rotation = computed(() => status.data.value?.rotation ?? undefined)
  const isRunning = computed(() => rotation.value?.is_running ?? false)
  usePolling(status.refresh, POLL_MS, () => isRunning.value)
  const share = computed(() => (rotation.value?.total ? rotation.value.processed / rotation.value.total : 0))

  const start = useAction(
    async () => {
      await unwrap(api.POST('/api/encryption/rotate'))
      await status.refresh()
    },
    { done: t('cluster.rotationBegan') }
  )

  async function rotate() {
    const asked = { title: t('cluster.rotateTitle'), text: t('cluster.rotateText'), action: t('cluster.rotate') }
    if (await confirm({ ...asked, isDestructive: false })) await start.run()
  }

  return { status, rotation, isRunning, share, rotate, isStarting: start.isRunning }
}
