/** What this browser remembers. A browser that forbids it forgets, and nothing else breaks. */
export const store = {
  get(name: string): string | null {
    try {
      return localStorage.getItem(name)
    } catch {
      return null
    }
  },
  set(name: string, value: string): void {
    try {
      localStorage.setItem(name, value)
    } catch {
      // Full or forbidden: the choice holds until the page is closed.
    }
  },
  remove(name: string): void {
    try {
      localStorage.removeItem(name)
    } catch {
      // As above.
    }
  },
  oneOf<T extends string>(name: string, values: readonly T[], otherwise: T): T {
    const stored = store.get(name)
    return values.find(value => value === stored) ?? otherwise
  }
}
