import { describe, expect, it } from 'vitest'
import type { Group } from '../useGroups'
import { bodyOf, changedOf, draftOfGroup, draftOfTemplate, prune, retemplate, row } from './draft'
import { TEMPLATE_NAMES } from './templates'

const group = {
  id: 4,
  name: 'team',
  display_name: 'Team',
  description: '',
  group_type: 'standard',
  channel_type: 'openai',
  test_model: 'm',
  validation_endpoint: '',
  proxy_keys: 'sk-a, sk-b',
  upstreams: [{ url: 'https://a.test', weight: 2 }],
  header_rules: [{ key: 'X-A', value: '1', action: 'set' }],
  model_redirect_rules: { a: 'b' },
  model_redirect_strict: true,
  param_overrides: { temperature: 0 },
  config: { max_retries: 1 }
} as unknown as Group

describe('a draft of a group', () => {
  it('sends back what it was made of', () => {
    const { body, problems } = bodyOf(draftOfGroup(group))
    expect(problems).toEqual({})
    expect(body).toEqual({
      name: 'team',
      display_name: 'Team',
      description: '',
      group_type: 'standard',
      channel_type: 'openai',
      test_model: 'm',
      validation_endpoint: '',
      proxy_keys: 'sk-a,sk-b',
      upstreams: [{ url: 'https://a.test', weight: 2 }],
      header_rules: [{ key: 'X-A', value: '1', action: 'set' }],
      model_redirect_rules: { a: 'b' },
      model_redirect_strict: true,
      param_overrides: { temperature: 0 },
      config: { max_retries: 1 }
    })
  })

  it('sends only what changed, and can clear', () => {
    const before = bodyOf(draftOfGroup(group)).body
    const draft = draftOfGroup(group)
    expect(changedOf(bodyOf(draft).body, before)).toEqual({})
    Object.assign(draft, { headers: [], redirects: [], params: ' ', config: {}, proxy_keys: '' })
    expect(changedOf(bodyOf(draft).body, before)).toEqual({
      header_rules: [],
      model_redirect_rules: {},
      param_overrides: {},
      config: {},
      proxy_keys: ''
    })
  })

  it('says what cannot be sent', () => {
    const draft = draftOfGroup(group)
    draft.params = '{"temperature": }'
    draft.redirects.push(row({ from: ' a ', to: 'c' }))
    draft.upstreams.push(row({ url: 'https://b.test', weight: null }))
    expect(bodyOf(draft).problems).toEqual({
      param_overrides: 'json',
      'redirects[1]': 'twice',
      'upstreams[1].weight': 'number'
    })
    draft.params = '[1]'
    expect(bodyOf(draft).problems.param_overrides).toBe('object')
  })

  it('loses the rows that nothing was typed into, but not the last upstream', () => {
    const draft = draftOfTemplate('custom', [])
    draft.upstreams.push(row({ url: ' ', weight: 1 }))
    draft.headers.push(row({ key: '', value: '', action: 'set' }), row({ key: '', value: 'x', action: 'set' }))
    draft.redirects.push(row({ from: '', to: '' }))
    prune(draft)
    expect([draft.upstreams.length, draft.headers.length, draft.redirects.length]).toEqual([1, 1, 0])
  })

  it('goes to another template with what was typed', () => {
    const draft = draftOfTemplate('openai', [])
    draft.name = 'mine'
    retemplate(draft, draftOfTemplate('openai', []), draftOfTemplate('gemini', []))
    expect([draft.name, draft.channel_type, draft.test_model, draft.upstreams[0]?.url]).toEqual([
      'mine',
      'gemini',
      'gemini-2.5-flash-lite',
      'https://generativelanguage.googleapis.com'
    ])
    draft.upstreams = [row({ url: 'https://mine.test', weight: 1 })]
    retemplate(draft, draftOfTemplate('gemini', []), draftOfTemplate('custom', []))
    expect([draft.channel_type, draft.test_model, draft.upstreams[0]?.url]).toEqual(['openai', '', 'https://mine.test'])
  })

  it('of an aggregate has nothing of what its members carry', () => {
    expect(bodyOf(draftOfTemplate('aggregate', ['all'])).body).toEqual({
      name: 'all-2',
      display_name: '',
      description: '',
      channel_type: 'openai',
      proxy_keys: '',
      group_type: 'aggregate'
    })
  })

  it.each(TEMPLATE_NAMES)('from the template %s can be sent once its blanks are filled', name => {
    const draft = draftOfTemplate(name, [])
    expect(bodyOf(draft).problems).toEqual({})
    expect(draft.name).toMatch(/^[a-z0-9_-]+$/)
  })
})
