import { onBeforeUnmount, onMounted, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { onBeforeRouteLeave } from 'vue-router'
import { session } from '@/api/session'
import { confirm } from './useConfirm'

/** Asks before a page with unsaved changes is left. */
export function useLeaveGuard(isUnsaved: Ref<boolean>) {
  const { t } = useI18n()

  onBeforeRouteLeave(() => {
    if (!isUnsaved.value || !session.isLoggedIn.value) return true
    return confirm({ title: t('common.leaveTitle'), text: t('common.leaveText'), action: t('common.leave') })
  })

  function hold(event: BeforeUnloadEvent) {
    if (isUnsaved.value) event.preventDefault()
  }
  onMounted(() => window.addEventListener('beforeunload', hold))
  onBeforeUnmount(() => window.removeEventListener('beforeunload', hold))
}
