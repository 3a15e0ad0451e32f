import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { PLACES } from './places.ts'
import { expect, remember, settle, test } from './support/test.ts'
import { LANGUAGES, textNames, texts } from './support/texts.ts'

// Every page in every theme, language and width: nothing in the console, nothing wider than the window, no serious
// finding of axe. The screenshots are for people.

const THEMES = ['light', 'dark'] as const
const WIDTHS = [390, 1440] as const
/** For all of them, on a machine that has other things to do as well. */
const PAGES_MS = 300_000
const RESULTS = process.env.E2E_RESULTS ?? '../target/e2e'
/** A text that is missing shows as its name. */
const NAMES = new Set(textNames())
/** Roles, names and colours do not depend on the language; layout does, and so do texts. */
const AXE_LANGUAGE = 'en-US'

for (const language of LANGUAGES) {
  for (const theme of THEMES) {
    for (const width of WIDTHS) {
      const look = `${language}-${theme}-${width}`

      test.describe(look, () => {
        test.use({ viewport: { width, height: 900 } })

        test('login', async ({ page, seed }) => {
          await remember(page, { key: '', language, theme })
          await page.goto(`${seed.url}/login`)
          await settle(page)
          await inspect(page, 'login', look)
        })

        test('pages', async ({ page, seed }) => {
          test.setTimeout(PAGES_MS)
          await remember(page, { key: seed.key, language, theme })
          const t = texts(language)
          for (const place of PLACES) {
            await test.step(place.name, async () => {
              await page.goto(seed.url + place.path(seed))
              await settle(page)
              await place.open?.(page, t)
              await settle(page)
              await inspect(page, place.name, look)
            })
          }
        })
      })
    }
  }
}

test('a viewer sees every page and no button that would be refused', async ({ page, seed }) => {
  test.setTimeout(PAGES_MS)
  await remember(page, { key: seed.viewer })
  const t = texts('en-US')
  for (const { name, path } of PLACES.filter(place => !place.open && place.name !== 'tokens')) {
    await test.step(name, async () => {
      await page.goto(seed.url + path(seed))
      await settle(page)
      await expect(page.getByText('Mei', { exact: true })).toBeVisible()
      for (const text of [
        'keys.create',
        'keys.add',
        'keys.edit',
        'policies.create',
        'policies.save',
        'cluster.newToken'
      ])
        await expect.soft(page.getByRole('button', { name: t(text), exact: true })).toHaveCount(0)
      await inspect(page, `viewer-${name}`, 'en-US-light-1440')
    })
  }
})

async function inspect(page: Page, name: string, look: string) {
  await page.screenshot({ path: `${RESULTS}/screenshots/${name}/${look}.png` })
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  expect.soft(over, `${name} is not wider than the window`).toBeLessThanOrEqual(0)
  const shown = (await page.locator('body').innerText()).match(/\b[a-z]\w+(\.\w+)+/gi) ?? []
  expect
    .soft(
      shown.filter(word => NAMES.has(word)),
      `${name} shows no name of a text`
    )
    .toEqual([])
  if (!look.startsWith(AXE_LANGUAGE)) return
  // There are no frames, so axe needs no page of its own; and nobody reads what it finds in order.
  const { violations } = await new AxeBuilder({ page })
    .options({ resultTypes: ['violations'] })
    .setLegacyMode()
    .analyze()
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  const told = serious.map(
    ({ id, nodes }) => `${id}: ${nodes.map(node => `${node.html} ${node.failureSummary}`).join('\n  ')}`
  )
  expect.soft(told, `axe finds nothing serious in ${name}`).toEqual([])
}
