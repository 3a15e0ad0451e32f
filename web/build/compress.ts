import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

const TEXTS = /\.(css|js|json|svg|webmanifest)$/
/** Below this a compressed file saves no packet. */
const WORTH_BYTES = 1000

/** Writes `x.br` and `x.gz` beside every text file of the build, so that the server compresses nothing. */
export function compress(): Plugin {
  let folder = ''
  return {
    name: 'compress',
    apply: 'build',
    configResolved: config => {
      folder = config.build.outDir
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => TEXTS.test(name))) {
        const path = join(folder, name)
        const text = readFileSync(path)
        if (text.length < WORTH_BYTES) continue
        writeFileSync(`${path}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
        writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }))
      }
    }
  }
}
