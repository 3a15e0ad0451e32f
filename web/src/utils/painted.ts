/** Longest wait for a quiet moment, in ms. */
const PATIENCE_MS = 500

/** Ends when what is there has been painted and the browser has nothing more urgent to do. */
export function painted(): Promise<void> {
  return new Promise(resolve => {
    requestAnimationFrame(() => {
      if ('requestIdleCallback' in window) requestIdleCallback(() => resolve(), { timeout: PATIENCE_MS })
      else setTimeout(resolve)
    })
  })
}
