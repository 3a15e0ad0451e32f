import { computed, readonly, ref } from 'vue'
import { store } from '@/utils/storage'

export type Role = 'admin' | 'viewer'

const STORED = 'authKey'

const key = ref(store.get(STORED) ?? '')
const role = ref<Role>('admin')
const name = ref('')
const isExpired = ref(false)
const isIdentified = ref(false)

/** Who is logged in: the key that goes with every call, and what it may do. */
export const session = {
  key: readonly(key),
  role: readonly(role),
  /** Name of the token; empty for the management key itself. */
  name: readonly(name),
  /** Whether the server refused the key of a running session. The page stays, and asks for a key in a dialog. */
  isExpired: readonly(isExpired),
  isLoggedIn: computed(() => key.value !== ''),
  /** Whether there is a key that the server accepts, as far as is known. Nothing asks by itself while not: that would count as guessing. */
  isUsable: computed(() => key.value !== '' && !isExpired.value),
  /** Whether the server has told the role. Until then it is taken for that of an administrator. */
  isIdentified: readonly(isIdentified),
  /** Whether things may be changed; a viewer only looks. */
  canWrite: computed(() => role.value === 'admin'),
  begin(accepted: string) {
    key.value = accepted
    isExpired.value = false
    isIdentified.value = false
    store.set(STORED, accepted)
  },
  identify(as: Role, called: string) {
    role.value = as
    name.value = called
    isIdentified.value = true
  },
  expire() {
    if (key.value !== '') isExpired.value = true
  },
  end() {
    key.value = ''
    role.value = 'admin'
    name.value = ''
    isExpired.value = false
    isIdentified.value = false
    store.remove(STORED)
  }
}
