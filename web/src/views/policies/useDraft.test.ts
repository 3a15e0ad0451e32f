import { expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { newDraft, type Draft } from './policy'
import { useDraft } from './useDraft'

vi.mock('vue-i18n', async load => ({
  ...(await load<object>()),
  useI18n: () => ({ t: (key: string, values?: { path?: string }) => (values?.path ? `${key} ${values.path}` : key) })
}))

const stored = { ...newDraft(), name: 'p', note: 'of another program' } as Draft

it('form and JSON are the same thing, unknown members included', async () => {
  const of = useDraft(stored)
  of.show('json')
  expect(JSON.parse(of.text.value)).toEqual(stored)
  of.text.value = of.text.value.replace('"p"', '"q"')
  await nextTick()
  of.show('form')
  expect([of.view.value, of.draft.value, of.isChanged.value]).toEqual(['form', { ...stored, name: 'q' }, true])
})

it('broken JSON is told at its place, stays on the screen and changes nothing', async () => {
  const of = useDraft(stored)
  of.show('json')
  of.text.value = '{\n  "name": \n}'
  await nextTick()
  of.show('form')
  expect(of.view.value).toBe('json')
  expect(of.broken.value).toEqual([{ line: 3, column: 1, message: 'json.value' }])
  expect([of.draft.value, of.isChanged.value]).toEqual([stored, true])
})

it('JSON that is no policy is told, too', async () => {
  const of = useDraft(stored)
  of.show('json')
  of.text.value = '{\n  "type": "retry",\n  "config": {"rules": {}}\n}'
  await nextTick()
  expect(of.broken.value).toEqual([{ line: 3, column: 14, message: 'policies.mustBe config.rules' }])
})

it('what the server says stands at its line', () => {
  const of = useDraft(stored)
  of.show('json')
  const lines = of.text.value.split('\n')
  const at = lines.findIndex(line => line.includes('"action"')) + 1
  expect(of.placed({ 'config.rules[0].action': 'no' })).toEqual([
    { line: at, column: 9, message: 'config.rules[0].action: no' }
  ])
})

it('after saving nothing is unsaved', () => {
  const of = useDraft(newDraft())
  of.draft.value = { ...of.draft.value, name: 'x' }
  expect(of.isChanged.value).toBe(true)
  of.reset(stored)
  expect([of.isChanged.value, of.draft.value]).toEqual([false, stored])
})
