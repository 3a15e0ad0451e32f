import { DOUBLE } from './support/node.ts'
import { expect, test } from './support/test.ts'
import { texts } from './support/texts.ts'

const t = texts('en-US')

test('from the first login to the first answer', async ({ page, own, complaints }) => {
  // The browser notes the refused key.
  complaints.allowed.push(/status of 401/)
  await page.goto(own.url)
  await expect(page.getByRole('heading', { name: t('login.title') })).toBeVisible()

  const key = page.getByLabel(t('login.key'), { exact: true })
  const enter = page.getByRole('button', { name: t('login.submit') })
  await enter.click()
  await expect(page.getByText(t('login.keyMissing'), { exact: true })).toBeVisible()
  await key.fill('wrong')
  await enter.click()
  await expect(page.getByText(t('login.keyWrong'))).toBeVisible()
  await expect(key).toHaveValue('wrong')
  await key.fill(own.key)
  await enter.click()

  await expect(page.getByRole('heading', { name: t('dashboard.firstSteps') })).toBeVisible()
  await page.getByRole('button', { name: t('dashboard.toKeys') }).click()
  await page.getByRole('button', { name: t('keys.createFirst') }).click()

  const form = page.locator('.group-form')
  await form.getByLabel(t('keysForm.name'), { exact: true }).fill('first')
  await form.getByLabel(t('keysForm.urlNo', { n: 1 })).fill(DOUBLE)
  await page.getByRole('button', { name: t('keysForm.generate') }).click()
  await page
    .getByRole('button', { name: t('keys.create'), exact: true })
    .last()
    .click()
  await expect(form).toHaveCount(0)
  await expect(page.getByRole('heading', { name: 'first' })).toBeVisible()

  await page
    .getByRole('button', { name: t('keys.add'), exact: true })
    .first()
    .click()
  await page.getByLabel(t('keysImport.text'), { exact: true }).fill('sk-first-0001\nsk-first-0002\nsk-first-0002')
  await expect(page.getByText(t('keysImport.found', { n: 3 }))).toBeVisible()
  await expect(page.getByText(t('keysImport.mistakes.repeated', { n: 1 }))).toBeVisible()
  await page.getByText(t('keysImport.newStates.active'), { exact: true }).click()
  await page.getByRole('button', { name: t('keysImport.deeds.add', { n: 3 }) }).click()
  await expect(page.getByText(t('keysImport.outcomes.add', { changed: 2, ignored: 1 }))).toBeVisible()
  await page.getByRole('button', { name: t('keysImport.connect') }).click()
  await expect(page.getByRole('heading', { name: t('keysConnect.snippet') })).toBeVisible()

  const [group] = await own.call<{ proxy_keys: string }[]>('GET', '/api/groups')
  expect(await own.chat('first', group?.proxy_keys ?? '')).toBe(200)
  await page.getByRole('link', { name: t('nav.dashboard') }).click()
  await expect(page.getByRole('heading', { name: t('dashboard.firstSteps') })).toHaveCount(0)
  await page.getByRole('link', { name: t('nav.logs') }).click()
  await expect(page.getByText('gpt-5-mini').first()).toBeVisible()
})
