import type { LogRow } from './outcome'

/** One attempt on the time of its request. */
export interface Step {
  row: LogRow
  /** ms since the request arrived; `duration_ms` of a row counts from there, too. */
  from: number
  until: number
  /** Begin and length as shares of the whole, 0 to 1. */
  left: number
  width: number
}

/** Shortest bar that can be seen, as a share of the whole. */
const LEAST = 0.004

/** Attempts in their order, each from the end of the one before; a pause before an attempt is part of it. */
export function timeline(rows: readonly LogRow[]): Step[] {
  const ordered = [...rows].sort((a, b) => a.attempt - b.attempt || a.duration_ms - b.duration_ms)
  const whole = Math.max(1, ...ordered.map(row => row.duration_ms))
  return ordered.map((row, index) => {
    const from = Math.min(ordered[index - 1]?.duration_ms ?? 0, row.duration_ms)
    const until = row.duration_ms
    return { row, from, until, left: from / whole, width: Math.max(LEAST, (until - from) / whole) }
  })
}

/** Body as people read it: JSON with line breaks, whatever else as it is. */
export function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
