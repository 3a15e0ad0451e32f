import { createApp } from 'vue'
import App from './App.vue'
import { i18n, preferredLocale, setLocale } from './locales'
import { router } from './router'
import './styles/main.css'

await setLocale(preferredLocale())
createApp(App).use(i18n).use(router).mount('#app')
