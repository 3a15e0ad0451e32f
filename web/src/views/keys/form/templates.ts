import type { Channel } from '../channels'

export const TEMPLATE_NAMES = ['openai', 'anthropic', 'gemini', 'azure', 'custom', 'aggregate'] as const
export type TemplateName = (typeof TEMPLATE_NAMES)[number]

/** What a new group begins with. */
export interface Template {
  channel: Channel
  /** Name of the group, if it is still free. */
  name: string
  /** Empty where only the user knows it. */
  url: string
  /** Shown in the empty field. */
  urlExample: string
  testModel: string
}

/** Azure and other providers speak the format of OpenAI; the key goes where their hosts want it. */
export const TEMPLATES: Record<TemplateName, Template> = {
  openai: template('openai', 'openai', 'https://api.openai.com', 'gpt-4.1-nano'),
  anthropic: template('anthropic', 'anthropic', 'https://api.anthropic.com', 'claude-haiku-4-5'),
  gemini: template('gemini', 'gemini', 'https://generativelanguage.googleapis.com', 'gemini-2.5-flash-lite'),
  azure: { ...template('openai', 'azure', '', ''), urlExample: 'https://RESOURCE.openai.azure.com/openai/v1' },
  custom: { ...template('openai', 'custom', '', ''), urlExample: 'https://llm.example.com/v1' },
  aggregate: template('openai', 'all', '', '')
}

function template(channel: Channel, name: string, url: string, testModel: string): Template {
  return { channel, name, url, urlExample: url, testModel }
}

/** `base`, or with a number behind it when that is taken. */
export function freeName(base: string, taken: readonly string[]): string {
  for (let n = 2, name = base; ; n += 1) {
    if (!taken.includes(name)) return name
    name = `${base}-${n}`
  }
}
