import { computed } from 'vue'
import { api, unwrap } from '@/api/client'
import { useResource } from './useResource'

/** Whether the stored keys are readable with the encryption key in force, and what to do when they are not. */
export function useEncryption() {
  const status = useResource(signal => unwrap(api.GET('/api/dashboard/encryption-status', { signal })))
  return { mismatch: computed(() => (status.data.value?.has_mismatch ? status.data.value : undefined)) }
}
