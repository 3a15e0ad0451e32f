import type { Schemas } from '@/api/types'

export type Channel = Schemas['Channel']

/** Formats of providers as people call them. Product names, the same in every language. */
export const CHANNEL_NAMES: Record<Channel, string> = {
  openai: 'OpenAI',
  'openai-response': 'OpenAI Responses',
  gemini: 'Gemini',
  anthropic: 'Anthropic'
}
