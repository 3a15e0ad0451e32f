import { readFileSync } from 'node:fs'
import { Node, script } from './node.ts'

const NOT_ACCEPTED =
  'Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.'

/** What the shared node holds. Tests look at it and change nothing. */
export interface Seed {
  url: string
  key: string
  /** Token of a viewer. */
  viewer: string
  /** Group with keys in every state. */
  group: number
  aggregate: number
  policy: number
  /** A request that needed more than one attempt. */
  request: string
  /** A key that is invalid. */
  invalidKey: number
}

/** Fills the node that all tests look at. */
export default async function setup(): Promise<void> {
  const url = process.env.NODE_URL ?? ''
  const node = new Node(url, readFileSync(process.env.KEY_FILE ?? '', 'utf8').trim())
  const proxyKey = 'sk-never-printed-proxy-key-of-the-shared-node'
  await node.call('PUT', '/api/settings', { proxy_keys: proxyKey })

  const { id: group } = await node.group('team-a', {
    display_name: 'Team A – production',
    description: 'Keys of the search team; ask Mei before deleting any.',
    config: { max_retries: 3 }
  })
  const { id: second } = await node.group('team-b', { description: 'Spare keys' })
  await node.group('claude', { channel_type: 'anthropic', test_model: 'claude-haiku' })
  await node.group('gemini', { channel_type: 'gemini', test_model: 'gemini-flash' })
  const aggregate = await node.call('POST', '/api/groups', {
    name: 'everything',
    display_name: 'Everything',
    group_type: 'aggregate',
    channel_type: 'openai'
  })
  await node.call('POST', `/api/groups/${aggregate.id}/sub-groups`, {
    sub_groups: [
      { group_id: group, weight: 3 },
      { group_id: second, weight: 1 }
    ]
  })

  const keys = Array.from({ length: 40 }, (_, n) => `sk-never-printed-team-a-${String(n).padStart(4, '0')}`)
  await script(keys[0] ?? '', { status: 401, message: NOT_ACCEPTED })
  await script(keys[1] ?? '', { status: 429, code: 'rate_limit_exceeded', 'retry-after': '1800' })
  await script(keys[2] ?? '', { status: 429, code: 'insufficient_quota' })
  await script(keys[3] ?? '', { status: 500, times: 1 })
  await node.addKeys(group, keys)
  await node.call('POST', '/api/keys/add-multiple', {
    group_id: second,
    keys: ['sk-never-printed-team-b-0001', 'sk-never-printed-team-b-0002'],
    new_key_state: 'pending'
  })
  // Once around, so that each of the keys above has met its fate.
  for (let n = 0; n < keys.length; n += 1) await node.chat('team-a', proxyKey, n % 3 ? 'gpt-5-mini' : 'gpt-5')

  const { id: policy } = await node.call('POST', '/api/policies', {
    name: 'rest after overload',
    type: 'degradation',
    description: 'Keys of an overloaded provider rest a while',
    config: {
      rules: [
        {
          name: 'overloaded',
          conditions: [{ type: 'status_code', operator: 'in', values: ['503', '529'] }],
          action: 'rest',
          duration: '2m'
        }
      ]
    }
  })
  const viewer = await node.call<{ token: string }>('POST', '/api/tokens', { name: 'Mei', role: 'viewer' })
  await node.call('POST', '/api/tokens', { name: 'backup script', role: 'admin' })
  const found = await settled(node, group)
  process.env.SEED = JSON.stringify({
    url,
    key: node.key,
    viewer: viewer.token,
    group,
    aggregate: aggregate.id,
    policy,
    ...found
  } satisfies Seed)
}

interface Paged<T> {
  items: T[]
}

/** What the requests left behind; written shortly after them, so it is asked for until it is there. */
async function settled(node: Node, group: number): Promise<{ request: string; invalidKey: number }> {
  const until = Date.now() + 15_000
  while (Date.now() < until) {
    const invalid = await node.call<Paged<{ id: number }>>('GET', `/api/keys?group_id=${group}&status=invalid`)
    const logs = await node.call<Paged<{ request_id: string; request_type: string }>>('GET', '/api/logs?page_size=100')
    const request = logs.items.find(row => row.request_type === 'retry')?.request_id
    const key = invalid.items[0]?.id
    if (request && key && logs.items.length >= 40) return { request, invalidKey: key }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('the requests did not reach the log, or no key became invalid')
}
