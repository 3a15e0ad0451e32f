import type { Schemas } from '@/api/types'
import type { SettingValue } from '@/utils/setting'
import type { Channel } from '../channels'
import type { Group } from '../useGroups'
import { TEMPLATES, freeName, type TemplateName } from './templates'

/** A row of a list in the form; `id` only tells rows apart. */
export type Row<T> = T & { id: number }

/** A group as the form holds it: everything can be typed, also what cannot be saved. */
export interface Draft {
  isAggregate: boolean
  name: string
  display_name: string
  description: string
  channel_type: Channel
  test_model: string
  validation_endpoint: string
  /** Separated by lines or commas. */
  proxy_keys: string
  upstreams: Row<{ url: string; weight: number | null }>[]
  headers: Row<{ key: string; value: string; action: Schemas['HeaderAction'] }>[]
  redirects: Row<{ from: string; to: string }>[]
  strict: boolean
  /** JSON; empty = none. */
  params: string
  /** Only what the group has values of its own for. */
  config: Record<string, SettingValue | null>
}

export type Body = Schemas['GroupCreate']
/** What is wrong with which field, as a key of `keysForm.problems`. */
export type Problems = Record<string, 'json' | 'object' | 'twice' | 'number'>

let lastId = 0
/** Gives a new row its id. */
export function row<T extends object>(value: T): Row<T> {
  lastId += 1
  return { ...value, id: lastId }
}

export function draftOfTemplate(name: TemplateName, taken: readonly string[]): Draft {
  const { channel, url, testModel, name: suggested } = TEMPLATES[name]
  return {
    isAggregate: name === 'aggregate',
    name: freeName(suggested, taken),
    display_name: '',
    description: '',
    channel_type: channel,
    test_model: testModel,
    validation_endpoint: '',
    proxy_keys: '',
    upstreams: [row({ url, weight: 1 })],
    headers: [],
    redirects: [],
    strict: false,
    params: '',
    config: {}
  }
}

/** Goes from one template to another: what was typed stays, what stood there of the first is that of the second. */
export function retemplate(draft: Draft, from: Draft, to: Draft): void {
  const url = draft.upstreams[0]?.url ?? ''
  const isUrlTyped = draft.upstreams.length > 1 || (url !== '' && url !== from.upstreams[0]?.url)
  draft.isAggregate = to.isAggregate
  draft.channel_type = to.channel_type
  if (draft.name === from.name) draft.name = to.name
  if (draft.test_model === from.test_model) draft.test_model = to.test_model
  if (!isUrlTyped) draft.upstreams = to.upstreams
}

export function draftOfGroup(group: Group): Draft {
  const params = group.param_overrides ?? {}
  return {
    isAggregate: group.group_type === 'aggregate',
    name: group.name,
    display_name: group.display_name,
    description: group.description,
    channel_type: group.channel_type,
    test_model: group.test_model,
    validation_endpoint: group.validation_endpoint,
    proxy_keys: splitKeys(group.proxy_keys).join('\n'),
    upstreams: group.upstreams.map(({ url, weight }) => row({ url, weight })),
    headers: (group.header_rules ?? []).map(({ key, value, action }) => row({ key, value, action })),
    redirects: Object.entries(group.model_redirect_rules).map(([from, to]) => row({ from, to: String(to) })),
    strict: group.model_redirect_strict,
    params: Object.keys(params).length > 0 ? JSON.stringify(params, null, 2) : '',
    config: { ...(group.config as Record<string, SettingValue> | null) }
  }
}

/** Takes out the rows that nothing was typed into, so that places in messages of the server are those on the screen. */
export function prune(draft: Draft): void {
  const typed = draft.upstreams.filter(({ url }) => url.trim() !== '')
  draft.upstreams = typed.length > 0 ? typed : draft.upstreams.slice(0, 1)
  draft.headers = draft.headers.filter(({ key, value }) => key.trim() !== '' || value.trim() !== '')
  draft.redirects = draft.redirects.filter(({ from, to }) => from.trim() !== '' || to.trim() !== '')
}

/** What to send, and what keeps it from being sent. */
export function bodyOf(draft: Draft): { body: Body; problems: Problems } {
  const problems: Problems = {}
  const about = {
    name: draft.name.trim(),
    display_name: draft.display_name.trim(),
    description: draft.description.trim(),
    channel_type: draft.channel_type,
    proxy_keys: splitKeys(draft.proxy_keys).join(',')
  }
  if (draft.isAggregate) return { body: { ...about, group_type: 'aggregate' }, problems }
  draft.upstreams.forEach(({ weight }, index) => {
    if (weight === null) problems[`upstreams[${index}].weight`] = 'number'
  })
  const body: Body = {
    ...about,
    group_type: 'standard',
    test_model: draft.test_model.trim(),
    validation_endpoint: draft.validation_endpoint.trim(),
    upstreams: draft.upstreams.map(({ url, weight }) => ({ url: url.trim(), weight: weight ?? 0 })),
    header_rules: draft.headers.map(({ key, value, action }) => ({ key: key.trim(), value, action })),
    model_redirect_rules: redirectsOf(draft, problems),
    model_redirect_strict: draft.strict,
    param_overrides: paramsOf(draft.params, problems),
    config: { ...draft.config } as Record<string, never>
  }
  return { body, problems }
}

/** Of `body` what differs from `before`: what others changed meanwhile stays as they left it. */
export function changedOf(body: Body, before: Body): Partial<Body> {
  const names = Object.keys(body) as (keyof Body)[]
  const changed = names.filter(name => JSON.stringify(body[name]) !== JSON.stringify(before[name]))
  return Object.fromEntries(changed.map(name => [name, body[name]]))
}

function splitKeys(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map(key => key.trim())
    .filter(key => key !== '')
}

function redirectsOf({ redirects }: Draft, problems: Problems): Record<string, string> {
  const rules: Record<string, string> = {}
  redirects.forEach(({ from, to }, index) => {
    if (from.trim() in rules) problems[`redirects[${index}]`] = 'twice'
    rules[from.trim()] = to.trim()
  })
  return rules
}

function paramsOf(text: string, problems: Problems): Record<string, unknown> {
  if (text.trim() === '') return {}
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
    problems.param_overrides = 'object'
  } catch {
    problems.param_overrides = 'json'
  }
  return {}
}
