import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { budget } from './build/budget.ts'
import { compress } from './build/compress.ts'
import { styleNonce } from './build/style-nonce.ts'

/** Where `npm run dev` finds a running node. */
const node = process.env.GPT_LOAD_URL ?? 'http://127.0.0.1:3001'

const LANGUAGE = /src\/locales\/[\w-]+\/index\.ts$/
const DASHBOARD = [/src\/layout\/index\.vue$/, /src\/views\/dashboard\/index\.vue$/]
const CHART = /src\/components\/chart\/echarts\.ts$/

/** The dashboard is what everyone loads first; its chart comes when the rest is on the screen. */
const BUDGETS = [
  { name: 'dashboard until it is on the screen', modules: DASHBOARD, either: LANGUAGE, bytes: 220_000 },
  { name: 'dashboard with its chart', modules: [...DASHBOARD, CHART], either: LANGUAGE, bytes: 350_000 }
]

export default defineConfig({
  // Relative, so that one build works under every path prefix: the server writes the prefix into <base>.
  base: './',
  plugins: [vue(), styleNonce(), compress(), budget(BUDGETS)],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false'
  },
  html: { cspNonce: 'CSP_NONCE' },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800
  },
  server: { proxy: { '/api': node, '/health': node, '/proxy': node } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts', 'tests/**/*.test.ts'] }
})
