import type { RouteRecordRaw } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    /** Key of the page's name, for the navigation and the window's title. */
    title?: string
  }
}

export const routes: RouteRecordRaw[] = [
  { path: '/login', name: 'login', component: () => import('@/views/login/index.vue'), meta: { title: 'login.title' } },
  {
    path: '/',
    component: () => import('@/layout/index.vue'),
    children: [
      page('', 'dashboard', () => import('@/views/dashboard/index.vue')),
      page('keys', 'keys', () => import('@/views/keys/index.vue')),
      page('policies', 'policies', () => import('@/views/policies/index.vue')),
      page('logs', 'logs', () => import('@/views/logs/index.vue')),
      page('settings', 'settings', () => import('@/views/settings/index.vue')),
      page('cluster', 'cluster', () => import('@/views/cluster/index.vue')),
      { path: ':unknown(.*)*', name: 'unknown', component: () => import('@/views/unknown/index.vue') }
    ]
  }
]

function page(path: string, name: string, component: () => Promise<unknown>): RouteRecordRaw {
  return { path, name, component: component as RouteRecordRaw['component'] & object, meta: { title: `nav.${name}` } }
}
