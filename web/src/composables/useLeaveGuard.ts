import { onBeforeUnmount, onMounted, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { onBeforeRouteLeave, onBeforeRouteUpdate, type RouteLocationNormalized } from 'vue-router'
import { session } from '@/api/session'
import { confirm } from './useConfirm'

/**
 * Asks before a page with unsaved changes is left. `isLeaving` says which changes of the query leave it, too: when they
 * open something else on the same page. After `allow()` nothing is asked any more.
 */
export function useLeaveGuard(
  isUnsaved: Ref<boolean>,
  isLeaving: (to: RouteLocationNormalized, from: RouteLocationNormalized) => boolean = () => false
) {
  const { t } = useI18n()
  let isAllowed = false

  function ask(): boolean | Promise<boolean> {
    if (isAllowed || !isUnsaved.value || !session.isLoggedIn.value) return true
    return confirm({ title: t('common.leaveTitle'), text: t('common.leaveText'), action: t('common.leave') })
  }

  onBeforeRouteLeave(ask)
  onBeforeRouteUpdate((to, from) => !isLeaving(to, from) || ask())

  function hold(event: BeforeUnloadEvent) {
    if (isUnsaved.value) event.preventDefault()
  }
  onMounted(() => window.addEventListener('beforeunload', hold))
  onBeforeUnmount(() => window.removeEventListener('beforeunload', hold))

  return { allow: () => void (isAllowed = true) }
}
