import { parseTime } from '@/composables/useFormat'
import type { Key } from './changes'

/** Why a key does not serve for now, and until when. */
export interface Out {
  /** It rests because of a limit, or is disabled because it failed. */
  kind: 'rests' | 'disabled'
  /** RFC 3339. */
  until: string
  /** In ms. */
  at: number
}

/** When a key comes back by itself: the later of the two clocks that hold it. */
export function outOf(key: Pick<Key, 'status' | 'disabled_until' | 'resting_until'>, now: number): Out | null {
  const clocks = [
    { kind: 'disabled' as const, until: key.status === 'disabled' ? key.disabled_until : null },
    { kind: 'rests' as const, until: key.resting_until }
  ]
  const running = clocks.flatMap(({ kind, until }) => {
    const at = parseTime(until)
    return until && at !== null && at > now ? [{ kind, until, at }] : []
  })
  return running.sort((one, other) => other.at - one.at)[0] ?? null
}

/** Whether there is something to explain: the key does not serve without reservation. */
export function isTroubled(
  key: Pick<Key, 'status' | 'disabled_until' | 'resting_until' | 'consecutive_failures' | 'last_class'>,
  now: number
): boolean {
  const isUntried = key.status === 'pending' && !key.last_class
  return (key.status !== 'active' && !isUntried) || key.consecutive_failures > 0 || outOf(key, now) !== null
}

/** Milliseconds as a clock that counts down: 0:07, 12:05, 2:03:10, from a day on 1 d 2 h. Never below zero. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor((seconds % 86_400) / 3600),
    Math.floor((seconds % 3600) / 60)
  ]
  if (days > 0) return `${days} d ${hours} h`
  const tail = `${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
