import { inject, provide, ref, type InjectionKey, type Ref } from 'vue'
import type { FieldProblems } from './useDraft'

const PROBLEMS: InjectionKey<Ref<FieldProblems>> = Symbol('problems')

/** Lets the fields of a form know what the server says of them. */
export function provideProblems(problems: Ref<FieldProblems>) {
  provide(PROBLEMS, problems)
}

export function useProblems(): Ref<FieldProblems> {
  return inject(PROBLEMS, () => ref({}), true)
}

/** The words of the server without the name of the field, which stands beside them anyway. */
export function bare(fields: FieldProblems): FieldProblems {
  return Object.fromEntries(
    Object.entries(fields).map(([field, text]) => [
      field,
      text.startsWith(`${field}: `) ? text.slice(field.length + 2) : text
    ])
  )
}
