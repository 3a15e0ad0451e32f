import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger, Plugin, Rollup } from 'vite'

/** JavaScript that a page may load, in bytes as they travel (Brotli). */
export interface Budget {
  /** For the message. */
  name: string
  /** Modules whose chunks, and all that those import, are counted; the entry always is. */
  modules: RegExp[]
  /** Of these modules only the one with the largest chunk counts: nobody loads more than one language. */
  either: RegExp
  bytes: number
}

/** Fails the build when a page loads more than it may. Stands behind `compress`, whose files it measures. */
export function budget(budgets: Budget[]): Plugin {
  let folder = ''
  let logger: Logger | undefined
  let chunks: Rollup.OutputChunk[] = []

  function bytesOf(name: string): number {
    const path = join(folder, name)
    return existsSync(`${path}.br`) ? statSync(`${path}.br`).size : readFileSync(path).length
  }

  return {
    name: 'budget',
    apply: 'build',
    configResolved: config => {
      folder = config.build.outDir
      logger = config.logger
    },
    writeBundle(_options, bundle) {
      chunks = Object.values(bundle).filter(file => file.type === 'chunk') as Rollup.OutputChunk[]
    },
    closeBundle() {
      for (const { name, modules, either, bytes } of budgets) {
        const loaded = closure(chunks, rootsOf(chunks, modules, either, bytesOf))
        const total = [...loaded].reduce((sum, file) => sum + bytesOf(file), 0)
        const told = `${name}: ${(total / 1000).toFixed(1)} kB of JavaScript, at most ${bytes / 1000} kB`
        if (total > bytes) throw new Error(told)
        logger?.info(told)
      }
    }
  }
}

type Chunk = Pick<Rollup.OutputChunk, 'fileName' | 'imports' | 'isEntry' | 'facadeModuleId'>

/** The files that a page asks for: the entry, the chunks of its modules, and the largest of those of which one is loaded. */
export function rootsOf(
  chunks: readonly Chunk[],
  modules: RegExp[],
  either: RegExp,
  bytesOf: (name: string) => number
): string[] {
  const names = (matches: (chunk: Chunk) => boolean) => chunks.filter(matches).map(chunk => chunk.fileName)
  const of = (pattern: RegExp) => names(chunk => pattern.test(chunk.facadeModuleId ?? ''))
  const fixed = modules.map(of)
  const missing = modules.find((_, index) => fixed[index]?.length === 0)
  const choices = of(either).sort((a, b) => bytesOf(b) - bytesOf(a))
  if (missing || choices.length === 0) throw new Error(`no chunk begins with ${missing ?? either}; see build/budget.ts`)
  return [...names(chunk => chunk.isEntry), ...fixed.flat(), ...choices.slice(0, 1)]
}

/** The files with all that they import, each once. */
export function closure(chunks: readonly Chunk[], roots: readonly string[]): Set<string> {
  const imports = new Map(chunks.map(chunk => [chunk.fileName, chunk.imports]))
  const found = new Set<string>()
  const waiting = [...roots]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue
    found.add(name)
    waiting.push(...(imports.get(name) ?? []))
  }
  return found
}
