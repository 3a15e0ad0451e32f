import type { Locator, Page } from '@playwright/test'
import type { OwnNode } from './support/node.ts'
import { expect, remember, settle, test } from './support/test.ts'
import { texts } from './support/texts.ts'

// Not part of a usual run: E2E_KEYS=1000000 make e2e ARGS=million. A release build tells more than a debug build.

const KEYS = Number(process.env.E2E_KEYS ?? 0)
const MAX_MS = 300
const IMPORT_MS = 900_000
const t = texts('en-US')

test.skip(KEYS === 0, 'E2E_KEYS says with how many keys')

test('the key table pages and filters at once, however many keys there are', async ({ page, own }) => {
  test.setTimeout(IMPORT_MS)
  const { id } = await own.group('huge')
  await importKeys(own, id)
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/keys?groupId=${id}`)
  await settle(page)
  const figures = {
    'next page': await timed(page, page.locator('.n-pagination-item').last()),
    'last page': await timed(page, page.locator('.n-pagination-item:not(.n-pagination-item--button)').last()),
    'filter by state': await filtered(page)
  }
  console.log(`${KEYS} keys, ms until the rows change:`, figures)
  for (const [what, ms] of Object.entries(figures)) expect.soft(ms, what).toBeLessThanOrEqual(MAX_MS)
})

async function importKeys(node: OwnNode, group: number) {
  const lines = Array.from({ length: KEYS }, (_, n) => `sk-huge-${String(n).padStart(9, '0')}`).join('\n')
  const form = new FormData()
  form.set('group_id', String(group))
  form.set('new_key_state', 'active')
  form.set('file', new Blob([lines]), 'keys.txt')
  const headers = { Authorization: `Bearer ${node.key}` }
  const answer = await fetch(`${node.url}/api/keys/add-async`, { method: 'POST', headers, body: form })
  expect(answer.ok).toBe(true)
  const isRunning = async () => (await node.call<{ is_running: boolean }>('GET', '/api/tasks/status')).is_running
  await expect.poll(isRunning, { timeout: IMPORT_MS, intervals: [1000] }).toBe(false)
}

async function filtered(page: Page) {
  await page.getByLabel(t('keys.byState')).first().click()
  return timed(page, page.locator('.n-base-select-option', { hasText: t('states.active') }))
}

/** Milliseconds in the page from the click until the rows are others. */
async function timed(page: Page, target: Locator): Promise<number> {
  await target.waitFor()
  await page.evaluate(() => {
    const rows = () => [...document.querySelectorAll('.key-row')].map(row => row.textContent).join()
    const before = rows()
    const changed = new Promise<number>(resolve => {
      document.addEventListener(
        'click',
        () => {
          const start = performance.now()
          new MutationObserver(() => {
            if (rows() !== '' && rows() !== before) resolve(Math.round(performance.now() - start))
          }).observe(document.body, { childList: true, subtree: true, characterData: true })
        },
        { capture: true, once: true }
      )
    })
    Object.assign(window, { changed })
  })
  await target.click()
  return page.evaluate(() => (window as unknown as { changed: Promise<number> }).changed)
}
