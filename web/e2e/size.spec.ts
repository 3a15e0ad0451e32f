import { expect, remember, settle, test } from './support/test.ts'

const MAX_SCRIPT_BYTES = 350_000
const MAX_PAINT_MS = 1000

test('the dashboard is small and soon there', async ({ page, seed }) => {
  await remember(page, { key: seed.key })
  await page.goto(seed.url)
  await settle(page)
  await expect(page.locator('canvas').first()).toBeVisible()
  const { bytes, scripts, paint } = await page.evaluate(() => {
    const loaded = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
    const own = loaded.filter(({ name }) => new URL(name).pathname.endsWith('.js'))
    return {
      scripts: own.length,
      bytes: own.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
      paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime
    }
  })
  test
    .info()
    .annotations.push({ type: 'figures', description: `${bytes} bytes of JavaScript, paint after ${paint} ms` })
  expect(scripts).toBeGreaterThan(0)
  expect(bytes).toBeLessThanOrEqual(MAX_SCRIPT_BYTES)
  expect(paint).toBeLessThanOrEqual(MAX_PAINT_MS)
})
