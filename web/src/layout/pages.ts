import { Gauge, KeyRound, Network, ScrollText, Settings, ShieldCheck } from '@lucide/vue'
import type { Component } from 'vue'

/** The pages of the navigation, by the names of their routes. */
export const PAGES: { name: string; icon: Component }[] = [
  { name: 'dashboard', icon: Gauge },
  { name: 'keys', icon: KeyRound },
  { name: 'policies', icon: ShieldCheck },
  { name: 'logs', icon: ScrollText },
  { name: 'settings', icon: Settings },
  { name: 'cluster', icon: Network }
]
