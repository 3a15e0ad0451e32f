import type { Plugin } from 'vite'

const MODULE = /css-render\/esm\/utils\.js$/
const CALL = "document.createElement('style');"

/**
 * Naive UI writes its styles into <style> elements through css-render, which knows no nonce; a strict
 * Content-Security-Policy would drop them all. This gives each element the nonce that the page carries.
 */
export function styleNonce(): Plugin {
  return {
    name: 'style-nonce',
    apply: 'build',
    transform(code, id) {
      if (!MODULE.test(id)) return null
      if (!code.includes(CALL)) this.error('css-render creates its styles in another way now; see build/style-nonce.ts')
      const nonce = "document.querySelector('meta[property=csp-nonce]')?.nonce ?? ''"
      return { code: code.replace(CALL, `${CALL} el.nonce = ${nonce};`), map: null }
    }
  }
}
