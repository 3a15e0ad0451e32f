import { describe, expect, it } from 'vitest'
import { snippetsOf, type Connection } from './snippets'

const to: Connection = { endpoint: 'https://gw.test/proxy/team', key: 'sk-1', model: 'gpt-4.1', channel: 'openai' }
const codeOf = (connection: Connection, label: string) =>
  snippetsOf(connection).find(snippet => snippet.label === label)?.code

describe('a snippet', () => {
  it('of curl can be pasted into a shell, whatever the key holds', () => {
    expect(codeOf({ ...to, key: "it's" }, 'curl')).toBe(
      [
        "curl 'https://gw.test/proxy/team/v1/chat/completions' \\",
        "  -H 'Content-Type: application/json' \\",
        "  -H 'Authorization: Bearer it'\\''s' \\",
        `  -d '{"model":"gpt-4.1","messages":[{"role":"user","content":"Hello!"}]}'`
      ].join('\n')
    )
  })

  it('of each SDK has the base address that the SDK wants', () => {
    expect(codeOf(to, 'Python · OpenAI')).toContain('OpenAI(base_url="https://gw.test/proxy/team/v1", api_key="sk-1")')
    expect(codeOf({ ...to, channel: 'anthropic' }, 'Python · Anthropic')).toContain(
      'Anthropic(base_url="https://gw.test/proxy/team", api_key="sk-1")'
    )
    expect(codeOf({ ...to, channel: 'gemini' }, 'Python · Gemini')).toContain(
      'genai.Client(api_key="sk-1", http_options={"base_url": "https://gw.test/proxy/team"})'
    )
    expect(codeOf({ ...to, channel: 'gemini' }, 'Python · OpenAI')).toContain('/proxy/team/v1beta/openai"')
    expect(codeOf({ ...to, channel: 'openai-response' }, 'Python · OpenAI')).toContain('client.responses.create(')
  })
})
