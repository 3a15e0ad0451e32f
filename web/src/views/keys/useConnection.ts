import { computed } from 'vue'
import { api, unwrap } from '@/api/client'
import { session } from '@/api/session'
import { useResource } from '@/composables/useResource'
import { baseUrl } from '@/utils/base'
import type { Connection } from './snippets'
import type { Group } from './useGroups'

/** Stands for the proxy key where none may be shown. */
const PLACEHOLDER = 'YOUR_PROXY_KEY'

/** How programs reach a group: its address, a key that opens it, and a model to ask for. */
export function useConnection(group: () => Group) {
  const settings = useResource(signal => unwrap(api.GET('/api/settings', { signal })), {
    live: ['settings'],
    immediate: session.canWrite.value
  })
  const global = computed(() => {
    const all = settings.data.value?.flatMap(category => category.settings) ?? []
    return String(all.find(setting => setting.key === 'proxy_keys')?.value ?? '')
  })
  /** The group's own first. Viewers get masked ones, which open nothing. */
  const key = computed(() => {
    const known = session.canWrite.value ? [...split(group().proxy_keys), ...split(global.value)] : []
    return known[0] ?? ''
  })
  const endpoint = computed(() => (group().endpoint || `${baseUrl}/proxy/${group().name}`).replace(/\/$/, ''))
  /** Where the address was set for another host than this page comes from, it may be the wrong one. */
  const isElsewhere = computed(() => !endpoint.value.startsWith(`${new URL(baseUrl).origin}/`))
  const model = computed(() => {
    const { model_redirect_rules: rules, test_model } = group()
    return Object.keys(rules)[0] ?? (test_model && test_model !== '-' ? test_model : 'MODEL')
  })
  const connection = computed<Connection>(() => ({
    endpoint: endpoint.value,
    key: key.value || PLACEHOLDER,
    model: model.value,
    channel: group().channel_type
  }))
  const integration = computed(
    () => `${endpoint.value}/api/integration/info?key=${encodeURIComponent(connection.value.key)}`
  )
  return { connection, endpoint, key, isElsewhere, integration }
}

function split(keys: string): string[] {
  return keys
    .split(',')
    .map(key => key.trim())
    .filter(key => key !== '')
}
