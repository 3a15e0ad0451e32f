import { expect, remember, settle, test } from './support/test.ts'
import { texts } from './support/texts.ts'

const t = texts('en-US')

// What is wrong is told at the field, nothing is sent or stored, and nothing that was typed is lost.

test('the form of a group', async ({ page, own, complaints }) => {
  complaints.allowed.push(/status of 400/)
  await own.group('taken')
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/keys`)
  await page
    .getByRole('button', { name: t('keys.create') })
    .first()
    .click()
  const form = page.locator('.group-form')
  const save = page.getByRole('button', { name: t('keys.create'), exact: true }).last()
  const name = form.getByLabel(t('keysForm.name'), { exact: true })
  const address = form.getByLabel(t('keysForm.urlNo', { n: 1 }))
  await name.fill('Not A Name')
  await address.fill('ftp://nowhere')
  await save.click()
  await expect(name).toHaveAttribute('aria-invalid', 'true')
  await expect(form.getByRole('alert').first()).toBeVisible()
  await expect(name).toHaveValue('Not A Name')
  await expect(address).toHaveValue('ftp://nowhere')

  await name.fill('fine')
  await save.click()
  await expect(address).toHaveAttribute('aria-invalid', 'true')
  await expect(name).toHaveValue('fine')
  expect(await own.call<unknown[]>('GET', '/api/groups')).toHaveLength(1)

  // Leaving asks first, and a no keeps everything.
  await page.getByRole('button', { name: t('common.cancel'), exact: true }).click()
  const question = page.getByRole('dialog', { name: t('common.leaveTitle') })
  await question.getByRole('button', { name: t('common.cancel') }).click()
  await expect(name).toHaveValue('fine')
})

test('a number that no setting takes is refused at its field, and not sent', async ({ page, own }) => {
  const sent: string[] = []
  page.on('request', request => request.method() === 'PUT' && sent.push(request.url()))
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/settings`)
  await settle(page)
  const setting = page.locator('.setting', { hasText: 'max_retries' }).first()
  const field = setting.getByRole('textbox')
  await field.fill('-5')
  await field.blur()
  await page.getByRole('button', { name: t('settings.save'), exact: true }).click()
  await expect(setting.getByRole('alert')).toBeVisible()
  await expect(page.getByText(t('settings.broken'))).toBeVisible()
  await expect(field).toHaveValue('-5')
  expect(sent).toEqual([])
})

test('JSON that is no policy stays in its field and is not sent', async ({ page, own }) => {
  const sent: string[] = []
  page.on('request', request => request.method() === 'POST' && sent.push(new URL(request.url()).pathname))
  await remember(page, { key: own.key })
  await page.goto(`${own.url}/policies?policy=new`)
  await page.getByRole('tab', { name: 'JSON' }).click()
  const field = page.getByRole('textbox', { name: t('policies.json') })
  await field.fill('{ "type": "retry", }')
  await expect(page.getByText(t('policies.brokenHint'))).toBeVisible()
  await expect(page.getByRole('button', { name: t('policies.save') })).toBeDisabled()
  await expect(field).toHaveValue('{ "type": "retry", }')
  expect(sent).not.toContain('/api/policies')
})
