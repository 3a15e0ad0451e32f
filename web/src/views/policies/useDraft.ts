import { computed, ref, shallowRef, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { parseJson, pathOf, placeOfPath, type Problem } from '@/utils/json'
import { tidy, type Draft } from './policy'
import { misfits } from './shape'

/** Problems that the server has with the draft, by field: `config.rules[0].action`. */
export type FieldProblems = Readonly<Record<string, string>>

/** A policy in the editor: one draft, shown as a form or as JSON. */
export function useDraft(initial: Draft) {
  const { t } = useI18n()
  const draft = shallowRef(initial)
  const view = ref<'form' | 'json'>('form')
  const text = ref('')
  const saved = ref(write(initial))

  const parsed = computed(() => parseJson(text.value))
  /** What keeps the text from being a policy: broken JSON, or members that are something else. */
  const broken = computed<Problem[]>(() => {
    if (view.value === 'form') return []
    const { value, error, root } = parsed.value
    if (error) return [{ line: error.line, column: error.column, message: t(`json.${error.code}`) }]
    return misfits(value).map(({ path, must }) => ({
      ...placeOfPath(text.value, root, path),
      message: t('policies.mustBe', { path: nameOf(path), what: t(`policies.must.${must}`) })
    }))
  })
  const isBroken = computed(() => broken.value.length > 0)
  const isChanged = computed(() => isBroken.value || write(draft.value) !== saved.value)

  // What is typed as JSON counts at once, as long as it is a policy.
  watch(text, () => {
    if (view.value === 'json' && !isBroken.value) draft.value = parsed.value.value as Draft
  })

  /** Shows the draft as a form or as JSON; a text that is no policy stays on the screen with its problems. */
  function show(next: 'form' | 'json') {
    if (next === view.value || isBroken.value) return
    if (next === 'form') draft.value = tidy(draft.value)
    else text.value = write(draft.value)
    view.value = next
  }

  /** Begins anew with what the server has. */
  function reset(to: Draft) {
    draft.value = to
    saved.value = write(to)
    text.value = write(to)
  }

  /** Problems of the server, at their lines. */
  function placed(fields: FieldProblems): Problem[] {
    const { root } = parsed.value
    return Object.entries(fields).map(([field, message]) => ({
      ...placeOfPath(text.value, root, pathOf(field)),
      message: `${field}: ${message}`
    }))
  }

  return { draft, view, text, broken, isBroken, isChanged, show, reset, placed }
}

function write(draft: Draft): string {
  return JSON.stringify(draft, null, 2)
}

function nameOf(path: (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${part}`)).join('')
}

export type PolicyDraft = ReturnType<typeof useDraft>
