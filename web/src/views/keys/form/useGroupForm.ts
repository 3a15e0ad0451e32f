import { computed, nextTick, reactive, ref, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, unwrap } from '@/api/client'
import { useAction } from '@/composables/useAction'
import { brokenRule } from '@/utils/setting'
import type { Group } from '../useGroups'
import { useOptions } from '../useOptions'
import { bodyOf, changedOf, draftOfGroup, draftOfTemplate, prune, retemplate, type Draft } from './draft'
import { TEMPLATES, type TemplateName } from './templates'

/** The form of a group that exists, or of a new one (`null`). What was typed stays when saving fails. */
export function useGroupForm(group: Group | null, taken: readonly string[]) {
  const { t } = useI18n()
  const options = useOptions()
  const template = ref<TemplateName>('openai')
  const draft = reactive<Draft>(group ? draftOfGroup(group) : draftOfTemplate('openai', taken))
  let first = bodyOf(draft).body
  const initial = ref(JSON.stringify(first))

  /** A template fills what was not typed into yet. */
  watch(template, (name, before) => {
    const to = draftOfTemplate(name, taken)
    retemplate(draft, draftOfTemplate(before, taken), to)
    initial.value = JSON.stringify((first = bodyOf(to).body))
  })

  const current = computed(() => bodyOf(draft))
  const isChanged = computed(() => JSON.stringify(current.value.body) !== initial.value)
  const urlExample = computed(() => TEMPLATES[template.value].urlExample)
  const isUpstreamRuled = computed(() => group?.ruled_by_environment?.includes('upstreams') ?? false)

  /** What this page knows to be wrong; the rest the server says. */
  const ownProblems = computed<Record<string, string>>(() => {
    const found = Object.entries(current.value.problems).map(([field, name]) => [field, t(`keysForm.problems.${name}`)])
    const broken = (options.data.value ?? []).flatMap(option => {
      const value = draft.config[option.key]
      const rule = value === undefined ? null : brokenRule(option, false, value)
      return rule ? [[`config.${option.key}`, t(`rules.${rule.rule}`, { n: rule.limit ?? '' })]] : []
    })
    return Object.fromEntries([...found, ...broken])
  })
  /** Problems are told once somebody tried to save. */
  const isTold = ref(false)

  const save = useAction(
    async (): Promise<Group> => {
      const { body } = current.value
      if (!group) return unwrap(api.POST('/api/groups', { body }))
      const changed = changedOf(body, first)
      if (isUpstreamRuled.value) delete changed.upstreams
      return unwrap(api.PUT('/api/groups/{id}', { params: { path: { id: group.id } }, body: changed as never }))
    },
    { done: group ? t('keysForm.saved') : t('keysForm.created'), isQuiet: true }
  )

  function problemOf(field: string): string {
    return (isTold.value && ownProblems.value[field]) || bare(field, save.fields.value[field] ?? '')
  }

  async function submit(): Promise<Group | undefined> {
    prune(draft)
    isTold.value = true
    const saved = Object.keys(ownProblems.value).length > 0 ? undefined : await save.run()
    if (!saved) await showProblem()
    return saved
  }

  const isBroken = computed(() => isTold.value && Object.keys(ownProblems.value).length > 0)
  return {
    draft,
    template,
    options,
    urlExample,
    isChanged,
    isUpstreamRuled,
    isBroken,
    save,
    problemOf,
    submit,
    isNew: !group
  }
}

export type GroupForm = ReturnType<typeof useGroupForm>

/** The server begins a message with the field; beside the field that is too much. */
function bare(field: string, message: string): string {
  return message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message
}

/** Brings the first message into view; sections that hold one are open by then. */
async function showProblem() {
  await nextTick()
  const wrong = document.querySelector('.group-form [role=alert]')
  wrong?.closest('details')?.setAttribute('open', '')
  wrong?.scrollIntoView({ block: 'center', behavior: 'smooth' })
}
