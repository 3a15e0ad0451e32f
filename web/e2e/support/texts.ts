import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const LANGUAGES = ['en-US', 'zh-CN', 'ja-JP'] as const
export type Language = (typeof LANGUAGES)[number]
export type Translate = (key: string, values?: Record<string, string | number>) => string

type Texts = { [name: string]: string | Texts }

const FOLDER = fileURLToPath(new URL('../../src/locales', import.meta.url))

/** What the UI says in a language: `texts('en-US')('keys.add')`. */
export function texts(language: Language): Translate {
  const all = areas(language)
  return (key, values = {}) => {
    const found = key
      .split('.')
      .reduce<string | Texts | undefined>((at, part) => (at as Texts | undefined)?.[part], all)
    if (typeof found !== 'string') throw new Error(`no text ${key} in ${language}`)
    return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
  }
}

function areas(language: Language): Texts {
  const found: Texts = {}
  for (const file of readdirSync(`${FOLDER}/${language}`)) {
    if (!file.endsWith('.json')) continue
    found[file.slice(0, -'.json'.length)] = JSON.parse(readFileSync(`${FOLDER}/${language}/${file}`, 'utf8')) as Texts
  }
  return found
}

/** Names of all texts, which no page shows. */
export function textNames(texts: Texts = areas('en-US'), before = ''): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    typeof text === 'string' ? [before + name] : textNames(text, `${before}${name}.`)
  )
}
