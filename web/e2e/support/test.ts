import { test as base, expect, type Page } from '@playwright/test'
import { OwnNode } from './node.ts'
import type { Seed } from './setup.ts'
import type { Language } from './texts.ts'

export { expect }

/** What a browser remembers of its user. */
export interface User {
  key: string
  language?: Language
  theme?: 'light' | 'dark'
}

interface Fixtures {
  /** The shared node: to look at, not to change. */
  seed: Seed
  /** A fresh node with nothing in it. */
  own: OwnNode
  /** Complaints of the browser; a test fails when there are some. Those that are expected are named in `allowed`. */
  complaints: { allowed: RegExp[]; all: string[] }
}

export const test = base.extend<Fixtures>({
  seed: async ({}, use) => use(JSON.parse(process.env.SEED ?? '{}') as Seed),
  own: async ({ page }, use) => {
    const node = await OwnNode.make()
    await use(node)
    // A page whose server ends complains.
    await page.close()
    await node.remove()
  },
  complaints: [
    async ({ page }, use) => {
      const complaints = { allowed: [] as RegExp[], all: [] as string[] }
      watch(page, complaints.all)
      await use(complaints)
      const unexpected = complaints.all.filter(text => !complaints.allowed.some(allowed => allowed.test(text)))
      expect(unexpected, 'the console is silent').toEqual([])
    },
    { auto: true }
  ]
})

/** A node without a cluster says so with 404, which the browser notes. */
const NO_CLUSTER = /status of 404.*\/api\/cluster$/

function watch(page: Page, complaints: string[]) {
  page.on('console', message => {
    const text = `${message.text()} ${message.location().url}`
    if (['error', 'warning'].includes(message.type()) && !NO_CLUSTER.test(text)) complaints.push(text)
  })
  page.on('pageerror', error => complaints.push(String(error)))
  void page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', event => {
      reportError(new Error(`the policy forbids ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))
    })
  })
}

/** The browser of somebody who was here before. */
export async function remember(page: Page, user: User): Promise<void> {
  await page.addInitScript(({ key, language = 'en-US', theme = 'light' }) => {
    // Once in a tab: what the test does afterwards stays.
    if (sessionStorage.getItem('remembered')) return
    sessionStorage.setItem('remembered', 'yes')
    if (key) localStorage.setItem('authKey', key)
    localStorage.setItem('locale', language)
    localStorage.setItem('gpt-load-theme-mode', theme)
  }, user)
}

/** Waits until nothing on the page is a placeholder any more. */
export async function settle(page: Page): Promise<void> {
  await expect(page.locator('h1, h2').first()).toBeVisible()
  await expect(page.locator('.n-skeleton')).toHaveCount(0)
  await page.evaluate(() => document.fonts.ready)
}
