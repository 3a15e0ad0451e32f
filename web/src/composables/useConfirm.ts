import { readonly, shallowRef } from 'vue'

export interface Question {
  /** What will happen: "Delete group team-a?" */
  title: string
  /** What goes with it and whether it can be undone: "Its 1,204 keys go too. This cannot be undone." */
  text: string
  /** The button in the words of the deed: "Delete group", never "OK". */
  action: string
  /** A name that must be typed first: for what destroys much. */
  typed?: string
  /** Draws the button in red; true by default. */
  isDestructive?: boolean
}

interface Open extends Question {
  answer: (isConfirmed: boolean) => void
}

const open = shallowRef<Open>()

/** The question on the screen, for the host that shows it. */
export const question = readonly(open)

/**
 * Asks before something is destroyed.
 *
 *     if (await confirm({ title: t('…', { name }), text: …, action: … })) await remove.run(id)
 */
export function confirm(asked: Question): Promise<boolean> {
  open.value?.answer(false)
  return new Promise(resolve => {
    open.value = {
      ...asked,
      answer: isConfirmed => {
        open.value = undefined
        resolve(isConfirmed)
      }
    }
  })
}
