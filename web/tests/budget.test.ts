import { expect, it } from 'vitest'
import { closure, rootsOf } from '../build/budget'

const chunk = (fileName: string, imports: string[], facadeModuleId: string | null = null, isEntry = false) => ({
  fileName,
  imports,
  facadeModuleId,
  isEntry
})
const chunks = [
  chunk('index.js', ['vue.js'], '/src/main.ts', true),
  chunk('page.js', ['vue.js', 'table.js'], '/src/views/page/index.vue'),
  chunk('other.js', ['huge.js'], '/src/views/other/index.vue'),
  chunk('en.js', [], '/src/locales/en/index.ts'),
  chunk('ja.js', [], '/src/locales/ja/index.ts'),
  chunk('vue.js', []),
  chunk('table.js', ['vue.js']),
  chunk('huge.js', [])
]
const bytes: Record<string, number> = { 'en.js': 1, 'ja.js': 2 }

it('a page loads the entry, itself, all that they import, and one language', () => {
  const roots = rootsOf(chunks, [/page\/index\.vue$/], /locales/, name => bytes[name] ?? 0)
  expect([...closure(chunks, roots)].sort()).toEqual(['index.js', 'ja.js', 'page.js', 'table.js', 'vue.js'])
})

it('a page that moved is told rather than not counted', () => {
  expect(() => rootsOf(chunks, [/gone\.vue$/], /locales/, () => 0)).toThrow('no chunk begins with /gone\\.vue$/')
})
