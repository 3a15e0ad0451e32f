import type { Channel } from './channels'

/** What a program needs to use a group. */
export interface Connection {
  /** Address of the group, without a slash at its end. */
  endpoint: string
  /** A proxy key. */
  key: string
  model: string
  channel: Channel
}

export interface Snippet {
  /** Product names, the same in every language. */
  label: string
  code: string
}

/** Programs that can be pasted and run as they are. */
export function snippetsOf(to: Connection): Snippet[] {
  return SNIPPETS[to.channel].map(({ label, write }) => ({ label, code: write(to) }))
}

interface Writer {
  label: string
  write: (to: Connection) => string
}

const CURL = 'curl'
const OPENAI = 'Python · OpenAI'
const ANTHROPIC = 'Python · Anthropic'
const GEMINI = 'Python · Gemini'

const SNIPPETS: Record<Channel, Writer[]> = {
  openai: [
    { label: CURL, write: to => curl(to, '/v1/chat/completions', ['Authorization: Bearer ' + to.key], chat(to)) },
    { label: OPENAI, write: to => openai(to, '/v1', CHAT) }
  ],
  'openai-response': [
    {
      label: CURL,
      write: to => curl(to, '/v1/responses', ['Authorization: Bearer ' + to.key], { model: to.model, input: HELLO })
    },
    { label: OPENAI, write: to => openai(to, '/v1', RESPONSES) }
  ],
  anthropic: [
    {
      label: CURL,
      write: to =>
        curl(to, '/v1/messages', ['x-api-key: ' + to.key, 'anthropic-version: 2023-06-01'], {
          ...chat(to),
          max_tokens: 100
        })
    },
    { label: ANTHROPIC, write: anthropic }
  ],
  gemini: [
    {
      label: CURL,
      write: to =>
        curl(to, `/v1beta/models/${to.model}:generateContent`, ['x-goog-api-key: ' + to.key], {
          contents: [{ parts: [{ text: HELLO }] }]
        })
    },
    { label: GEMINI, write: gemini },
    { label: OPENAI, write: to => openai(to, '/v1beta/openai', CHAT) }
  ]
}

const HELLO = 'Hello!'

const CHAT = (model: string) => `response = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": "${HELLO}"}],
)
print(response.choices[0].message.content)`

const RESPONSES = (model: string) => `response = client.responses.create(model=${text(model)}, input="${HELLO}")
print(response.output_text)`

function chat({ model }: Connection) {
  return { model, messages: [{ role: 'user', content: HELLO }] }
}

function curl({ endpoint }: Connection, path: string, headers: string[], body: object): string {
  const lines = ['Content-Type: application/json', ...headers].map(header => `  -H ${quoted(header)} \\`)
  return [`curl ${quoted(endpoint + path)} \\`, ...lines, `  -d ${quoted(JSON.stringify(body))}`].join('\n')
}

function openai({ endpoint, key, model }: Connection, base: string, call: (model: string) => string): string {
  return `from openai import OpenAI

client = OpenAI(base_url=${text(endpoint + base)}, api_key=${text(key)})
${call(model)}`
}

function anthropic({ endpoint, key, model }: Connection): string {
  return `from anthropic import Anthropic

client = Anthropic(base_url=${text(endpoint)}, api_key=${text(key)})
message = client.messages.create(
    model=${text(model)},
    max_tokens=100,
    messages=[{"role": "user", "content": "${HELLO}"}],
)
print(message.content[0].text)`
}

function gemini({ endpoint, key, model }: Connection): string {
  return `from google import genai

client = genai.Client(api_key=${text(key)}, http_options={"base_url": ${text(endpoint)}})
response = client.models.generate_content(model=${text(model)}, contents="${HELLO}")
print(response.text)`
}

/** A text of Python. */
function text(value: string): string {
  return JSON.stringify(value)
}

/** An argument of a shell. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`
}
