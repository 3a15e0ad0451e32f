import { createRouter, createWebHistory } from 'vue-router'
import { session } from '@/api/session'
import { i18n } from '@/locales'
import { basePath } from '@/utils/base'
import { routes } from './routes'

export const router = createRouter({
  history: createWebHistory(basePath),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 }
})

router.beforeEach(to => {
  if (to.name !== 'login' && !session.isLoggedIn.value) {
    return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  }
  if (to.name === 'login' && session.isLoggedIn.value) return { name: 'dashboard' }
  return true
})

router.afterEach(to => {
  const title = to.meta.title ? `${i18n.global.t(to.meta.title)} · ` : ''
  document.title = `${title}GPT-Load`
})
