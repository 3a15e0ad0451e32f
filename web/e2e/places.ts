import { expect, type Page } from '@playwright/test'
import type { Seed } from './support/setup.ts'
import type { Translate } from './support/texts.ts'

/** What there is to look at: an address, and the steps to what opens on top of it. */
export interface Place {
  name: string
  path: (seed: Seed) => string
  open?: (page: Page, t: Translate) => Promise<void>
}

const keys = ({ group }: Seed) => `/keys?groupId=${group}`

/** Every page, and the dialogs and drawers that hold the most. */
export const PLACES: Place[] = [
  { name: 'dashboard', path: () => '/' },
  { name: 'groups', path: () => '/keys' },
  { name: 'keys', path: keys },
  { name: 'keys-connect', path: seed => `${keys(seed)}&tab=connect` },
  { name: 'keys-pool', path: seed => `${keys(seed)}&tab=pool` },
  { name: 'keys-details', path: seed => `${keys(seed)}&tab=details` },
  { name: 'members', path: ({ aggregate }) => `/keys?groupId=${aggregate}` },
  {
    name: 'group-form',
    path: keys,
    async open(page, t) {
      await page.getByRole('button', { name: t('keys.edit'), exact: true }).click()
      await expect(page.locator('.group-form')).toBeVisible()
    }
  },
  {
    name: 'import',
    path: keys,
    async open(page, t) {
      await page.getByRole('button', { name: t('keys.add'), exact: true }).click()
      await page.getByLabel(t('keysImport.text'), { exact: true }).fill('sk-one\nsk-two\nsk-two')
      await expect(page.getByText(t('keysImport.found', { n: 3 }))).toBeVisible()
    }
  },
  {
    name: 'key',
    path: keys,
    async open(page, t) {
      await page.getByLabel(t('keys.byState')).first().click()
      await page.locator('.n-base-select-option', { hasText: t('states.invalid') }).click()
      await expect(page.getByText(t('common.total', { n: 1 }), { exact: true })).toBeVisible()
      await page.getByTitle(t('keys.details')).or(page.locator('.cards .card button')).first().click()
      await expect(page.getByText(t('keys.why.message'))).toBeVisible()
    }
  },
  { name: 'policies', path: () => '/policies' },
  { name: 'policy', path: ({ policy }) => `/policies?policy=${policy}` },
  {
    name: 'policy-json',
    path: ({ policy }) => `/policies?policy=${policy}`,
    open: page => page.getByRole('tab', { name: 'JSON' }).click()
  },
  { name: 'logs', path: () => '/logs' },
  { name: 'request', path: ({ request }) => `/logs?request=${request}` },
  { name: 'settings', path: () => '/settings' },
  { name: 'cluster', path: () => '/cluster' },
  { name: 'audit', path: () => '/cluster?tab=audit' },
  { name: 'tokens', path: () => '/cluster?tab=tokens' },
  {
    name: 'new-token',
    path: () => '/cluster?tab=tokens',
    async open(page, t) {
      await page.getByRole('button', { name: t('cluster.newToken') }).click()
      await expect(page.getByLabel(t('cluster.tokenName'), { exact: true })).toBeVisible()
    }
  },
  { name: 'unknown', path: () => '/no/such/page' }
]
