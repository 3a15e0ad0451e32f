/** A thing that has its place in a list. */
export interface Placed {
  id: number
  sort: number
}

/** Between two neighbours, so that there is room for scripts that put one in between. */
const STEP = 10

/** `items` with the one at `from` taken to `to`; places beyond the ends are the ends. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const others = items.filter((_, index) => index !== from)
  const place = Math.max(0, Math.min(others.length, to))
  return [...others.slice(0, place), ...items.slice(from, from + 1), ...others.slice(place)]
}

/** The positions to store for `items` in this order: only those that differ from what is stored. */
export function changedPositions(items: readonly Placed[]): Placed[] {
  return items
    .map(({ id, sort }, index) => ({ id, sort: index * STEP, before: sort }))
    .filter(({ sort, before }) => sort !== before)
    .map(({ id, sort }) => ({ id, sort }))
}
