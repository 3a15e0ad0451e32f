import { computed, type Ref } from 'vue'
import type { Setting, SettingsForm } from './useSettings'

export interface FilteredCategory {
  /** Identifies the category on the page. */
  anchor: string
  name: string
  settings: Setting[]
  /** How many differ from their default. */
  changed: number
}

/** The categories with the settings that match what was searched for; empty ones are left out. */
export function useFiltered(form: SettingsForm, search: Ref<string>) {
  return computed<FilteredCategory[]>(() => {
    const wanted = search.value.trim().toLowerCase()
    return (form.settings.data.value ?? [])
      .map(({ category_name, settings }, index) => {
        const matching = settings.filter(setting => isMatch(setting, wanted))
        const changed = matching.filter(setting => !form.isDefault(setting)).length
        return { anchor: `category-${index}`, name: category_name, settings: matching, changed }
      })
      .filter(category => category.settings.length > 0)
  })
}

function isMatch({ key, name, description }: Setting, wanted: string): boolean {
  return [key, name, description].some(text => text.toLowerCase().includes(wanted))
}
