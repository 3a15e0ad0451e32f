/** Spans that a token may live, in days; 0 = for ever. */
export const SPANS = [7, 30, 90, 365, 0] as const
export type Span = (typeof SPANS)[number] | 'exact'

/** When a token ends that is made at `now` (ms): RFC 3339, null = never. */
export function expiryOf(span: Span, exact: string, now: number): string | null {
  if (span === 'exact') return exact || null
  return span === 0 ? null : new Date(now + span * 86_400_000).toISOString()
}
