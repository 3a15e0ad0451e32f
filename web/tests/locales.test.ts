import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../src')
const LANGUAGES = ['en-US', 'zh-CN', 'ja-JP']

/** Every text of a language by its whole key: `common.cancel`. */
function textsOf(language: string): Map<string, string> {
  const folder = join(ROOT, 'locales', language)
  const texts = new Map<string, string>()
  for (const file of readdirSync(folder).filter(name => name.endsWith('.json'))) {
    flatten(file.replace('.json', ''), JSON.parse(readFileSync(join(folder, file), 'utf8')), texts)
  }
  return texts
}

function flatten(prefix: string, value: unknown, into: Map<string, string>) {
  if (typeof value === 'string') into.set(prefix, value)
  else for (const [name, inner] of Object.entries(value as object)) flatten(`${prefix}.${name}`, inner, into)
}

function sources(): string {
  const names = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  return names
    .filter(name => /\.(ts|vue)$/.test(name) && !name.endsWith('schema.ts'))
    .map(name => readFileSync(join(ROOT, name), 'utf8'))
    .join('\n')
    .replace(/^\s*(\*|\/\*\*|\/\/).*$/gm, '')
}

/** Keys in `t('…')`, `te('…')`, `keypath="…"` and `meta` titles; a template literal counts for all that it may come to. */
function uses(code: string): RegExp[] {
  const plain = [...code.matchAll(/\b(?:t|te)\(\s*'([^']+)'|(?:keypath="|title: ')([a-z]\w*\.[\w.]+)["']/g)]
  const built = [...code.matchAll(/(?:\b(?:t|te)\(\s*|[:?=] )`([a-z]\w*\.[^`]+)`/g)]
  return [
    ...plain.map(([, called, named]) => new RegExp(`^${escape(called ?? named ?? '')}$`)),
    ...built.map(([, key]) => new RegExp(`^${escape(key ?? '').replace(/\\\$\\\{.*?\\\}/g, '[^.]+')}$`))
  ]
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** The names in braces, sorted. */
function placeholders(text: string): string {
  return [...text.matchAll(/\{(\w+)\}/g)]
    .map(([, name]) => name)
    .sort()
    .join()
}

const english = textsOf('en-US')
const code = sources()
const used = uses(code)

describe('texts', () => {
  it.each(LANGUAGES.slice(1))('of %s are as complete as the English ones', language => {
    const texts = textsOf(language)
    expect([...english.keys()].filter(key => !texts.has(key))).toEqual([])
    expect([...texts.keys()].filter(key => !english.has(key))).toEqual([])
  })

  it.each(LANGUAGES.slice(1))('of %s take the same values as the English ones', language => {
    const texts = textsOf(language)
    const differing = [...english].filter(([key, text]) => placeholders(text) !== placeholders(texts.get(key) ?? ''))
    expect(differing.map(([key]) => key)).toEqual([])
  })

  it.each(LANGUAGES)('of %s are not empty', language => {
    expect([...textsOf(language)].filter(([, text]) => text.trim() === '')).toEqual([])
  })

  it('that the code names exist', () => {
    const keys = [...english.keys()]
    const missing = used.filter(pattern => !keys.some(key => pattern.test(key)))
    expect(missing.map(String)).toEqual([])
  })

  it('are all in use', () => {
    expect([...english.keys()].filter(key => !used.some(pattern => pattern.test(key)))).toEqual([])
  })
})
