import { readonly, ref } from 'vue'

const phone = window.matchMedia('(max-width: 767px)')
const isPhone = ref(phone.matches)
phone.addEventListener('change', event => (isPhone.value = event.matches))

/** Whether the window is as narrow as a phone. For what CSS cannot do; CSS uses the same 767 px. */
export function useMedia() {
  return { isPhone: readonly(isPhone) }
}
