import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

const WEB = join(import.meta.dirname, '..')

it('the generated types are those of docs/openapi.json; `npm run api` writes them anew', () => {
  const command = join(WEB, 'node_modules/.bin/openapi-typescript')
  const expected = execFileSync(command, ['../docs/openapi.json'], {
    cwd: WEB,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  })
  expect(readFileSync(join(WEB, 'src/api/schema.ts'), 'utf8').trim() === expected.trim()).toBe(true)
}, 60_000)
