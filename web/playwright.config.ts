import { defineConfig } from '@playwright/test'

/** `tests/run-e2e.sh` says where things are; it also starts the provider double. */
const { CHROMIUM, E2E_RESULTS = '../target/e2e' } = process.env

export default defineConfig({
  testDir: 'e2e',
  outputDir: `${E2E_RESULTS}/traces`,
  globalSetup: './e2e/support/setup.ts',
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  // What is timed has the machine to itself.
  projects: [
    { name: 'timed', testMatch: 'size.spec.ts' },
    { name: 'pages', testIgnore: 'size.spec.ts', dependencies: ['timed'] }
  ],
  reporter: [['list'], ['html', { outputFolder: `${E2E_RESULTS}/report`, open: 'never' }]],
  use: {
    browserName: 'chromium',
    launchOptions: {
      executablePath: CHROMIUM,
      // Nothing but the loopback is visited, in containers often as root.
      args: ['--no-sandbox', '--no-proxy-server', '--disable-dev-shm-usage']
    },
    viewport: { width: 1440, height: 900 },
    locale: 'en-US',
    timezoneId: 'UTC',
    contextOptions: { reducedMotion: 'reduce' },
    trace: 'retain-on-failure'
  }
})
