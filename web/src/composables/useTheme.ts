import { darkTheme, lightTheme } from 'naive-ui'
import { computed, ref, watchEffect } from 'vue'
import { overrides } from '@/theme/overrides'
import { dark, light } from '@/theme/tokens'
import { store } from '@/utils/storage'

export const THEME_MODES = ['auto', 'light', 'dark'] as const
export type ThemeMode = (typeof THEME_MODES)[number]

const system = window.matchMedia('(prefers-color-scheme: dark)')
const isSystemDark = ref(system.matches)
system.addEventListener('change', event => (isSystemDark.value = event.matches))

const mode = ref<ThemeMode>(store.oneOf('gpt-load-theme-mode', THEME_MODES, 'auto'))
const isDark = computed(() => (mode.value === 'auto' ? isSystemDark.value : mode.value === 'dark'))
const tokens = computed(() => (isDark.value ? dark : light))

watchEffect(() => {
  const root = document.documentElement
  root.dataset.theme = isDark.value ? 'dark' : 'light'
  root.style.colorScheme = root.dataset.theme
  for (const [name, value] of Object.entries(tokens.value)) root.style.setProperty(variable(name), value)
})

/** `accentSoft` → `--c-accent-soft` */
function variable(name: string): string {
  return `--c-${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

/** Light or dark: what is chosen, what it comes to, and the colours. */
export function useTheme() {
  function setMode(next: ThemeMode) {
    mode.value = next
    store.set('gpt-load-theme-mode', next)
  }
  return {
    mode,
    isDark,
    tokens,
    setMode,
    naive: computed(() => (isDark.value ? darkTheme : lightTheme)),
    overrides: computed(() => overrides(tokens.value))
  }
}
