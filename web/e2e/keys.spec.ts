import { script } from './support/node.ts'
import { expect, remember, settle, test } from './support/test.ts'
import { texts } from './support/texts.ts'

const t = texts('en-US')
const MANY = 100_000
const PROXY_KEY = 'sk-never-printed-proxy-key-of-a-test'

test('100,000 keys are imported while the page tells how far it is', async ({ page, own }) => {
  const { id } = await own.group('many')
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/keys?groupId=${id}`)
  await page
    .getByRole('button', { name: t('keys.add'), exact: true })
    .first()
    .click()
  const lines = Array.from({ length: MANY }, (_, n) => `sk-many-${String(n).padStart(8, '0')}`).join('\n')
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'keys.txt', mimeType: 'text/plain', buffer: Buffer.from(lines) })
  await page.getByRole('button', { name: t('keysImport.deeds.add', { n: '100,000' }) }).click()

  // Something between nothing and all of it, then all of it, without a click.
  const part = /^(?!0 \/|100,000 \/)[\d,]+ \/ 100,000 · \d/
  await expect(page.getByText(part)).toBeVisible()
  await page
    .getByRole('button', { name: t('common.close'), exact: true })
    .last()
    .click()
  await expect(page.getByRole('status', { name: t('tasks.kinds.KEY_IMPORT') })).toBeVisible()
  await expect(page.getByText(t('common.total', { n: '100,000' }))).toBeVisible({ timeout: 40_000 })
})

test('a key that goes out changes on the screen within a second and tells why', async ({ page, own }) => {
  const key = 'sk-never-printed-goes-out-0001'
  const message = 'Your account is deactivated, says the double'
  const { id } = await own.group('watched', { proxy_keys: PROXY_KEY, config: { max_retries: 0 } })
  await own.addKeys(id, [key, 'sk-never-printed-stays-0001', 'sk-never-printed-stays-0002'])
  await script(key, { status: 429, code: 'insufficient_quota', message })
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/keys?groupId=${id}`)
  await settle(page)
  await expect(page.getByTitle(t('session.live'))).toBeVisible()
  const disabled = page.locator('.key-row', { hasText: t('states.disabled') })
  await expect(page.locator('.key-row')).toHaveCount(3)
  await expect(disabled).toHaveCount(0)

  // The page notes by itself when it shows the change, so that the test's own waiting is not part of the figure.
  await page.evaluate(state => {
    const seen = new Promise<number>(resolve => {
      const look = () => {
        const rows = [...document.querySelectorAll('.key-row')]
        if (rows.some(row => row.textContent?.includes(state))) resolve(Date.now())
      }
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
    })
    Object.assign(window, { seen })
  }, t('states.disabled'))
  let answered = 0
  for (let n = 0; n < 3; n += 1) if ((await own.chat('watched', PROXY_KEY)) === 429) answered = Date.now()
  const seen = await page.evaluate(() => (window as unknown as { seen: Promise<number> }).seen)
  console.log(`a key that went out: on the screen ${seen - answered} ms after its request ended`)
  expect(answered).toBeGreaterThan(0)
  expect(seen - answered).toBeLessThan(1000)

  await disabled.getByTitle(t('keys.details')).click()
  const why = page.getByRole('region', { name: t('keys.why.title') })
  await expect(why).toContainText(message)
  await expect(why).toContainText(t('classes.quota_exhausted'))
})
