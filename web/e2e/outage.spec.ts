import { expect, remember, settle, test } from './support/test.ts'
import { texts } from './support/texts.ts'

const t = texts('en-US')

test('a dead server is told, and what was typed outlives it', async ({ page, own, complaints }) => {
  complaints.allowed.push(/ERR_(CONNECTION_REFUSED|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|SOCKET)/)
  await own.group('there')
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/keys`)
  await settle(page)
  await page
    .getByRole('button', { name: t('keys.create') })
    .first()
    .click()
  const form = page.locator('.group-form')
  await form.getByLabel(t('keysForm.name'), { exact: true }).fill('half-typed')
  await form.getByLabel(t('keysForm.urlNo', { n: 1 })).fill('https://provider.example')

  await own.kill()
  const save = page.getByRole('button', { name: t('keys.create'), exact: true }).last()
  await save.click()
  await expect(page.getByText(t('errors.network')).first()).toBeVisible()
  await expect(form.getByLabel(t('keysForm.name'), { exact: true })).toHaveValue('half-typed')

  await own.start()
  await expect(page.locator('.banners').getByText(t('errors.network'))).toHaveCount(0)
  await save.click()
  await expect(form).toHaveCount(0)
  await expect(page.getByRole('heading', { name: 'half-typed' })).toBeVisible()
})

test('a key that is revoked is told on top of the page, and the work goes on with another one', async ({
  page,
  own,
  complaints
}) => {
  complaints.allowed.push(/status of 401/)
  const { id, token } = await own.call<{ id: number; token: string }>('POST', '/api/tokens', {
    name: 'Kim',
    role: 'admin'
  })
  await remember(page, { key: token })
  await page.goto(`${own.url}/policies?policy=new`)
  const name = page.getByLabel(t('policies.name'), { exact: true })
  await name.fill('half-written')
  await own.call('DELETE', `/api/tokens/${id}`)
  await page.getByRole('button', { name: t('policies.save') }).click()

  const dialog = page.getByRole('dialog').filter({ hasText: t('login.again') })
  await expect(dialog).toBeVisible()
  await dialog.getByLabel(t('login.key'), { exact: true }).fill(own.key)
  await dialog.getByRole('button', { name: t('login.submit') }).click()
  await expect(dialog).toHaveCount(0)
  await expect(name).toHaveValue('half-written')
  await page.getByRole('button', { name: t('policies.save') }).click()
  await expect(page.getByRole('heading', { name: 'half-written' })).toBeVisible()
})
