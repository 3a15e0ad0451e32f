import { computed } from 'vue'
import { i18n } from '@/locales'

type Unit = 'second' | 'minute' | 'hour' | 'day'

const STEPS: [Unit, number, number][] = [
  ['second', 1000, 60_000],
  ['minute', 60_000, 3_600_000],
  ['hour', 3_600_000, 86_400_000],
  ['day', 86_400_000, Infinity]
]

const NONE = '–'

const formats = computed(() => {
  const locale = i18n.global.locale.value
  return {
    number: new Intl.NumberFormat(locale),
    compact: new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }),
    percent: new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 2 }),
    exact: new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }),
    hour: new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hour12: false }),
    relative: new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
  }
})

/** Numbers and times as people of the language in force write them, in the zone of this browser. */
export function useFormat() {
  return {
    /** 12,345 */
    number: (value: number) => formats.value.number.format(value),
    /** 12.3K */
    compact: (value: number) => formats.value.compact.format(value),
    /** 0.0123 → 1.23% */
    percent: (ratio: number) => formats.value.percent.format(ratio),
    /** 8 Feb 2026, 14:05:09 */
    exactTime: (time: string | null | undefined) => {
      const ms = parseTime(time)
      return ms === null ? NONE : formats.value.exact.format(ms)
    },
    /** 14:05 */
    hour: (time: string) => {
      const ms = parseTime(time)
      return ms === null ? NONE : formats.value.hour.format(ms)
    },
    /** 3 min ago, in 40 sec; `now` in ms. */
    relativeTime: (time: string | null | undefined, now: number) => {
      const ms = parseTime(time)
      return ms === null ? NONE : relative(ms - now)
    },
    /** 850 ms, 3.2 s, 4 min 5 s */
    duration: formatDuration
  }
}

/** RFC 3339 in ms; null when there is none, also for the zero time that stands for none. */
export function parseTime(time: string | null | undefined): number | null {
  if (!time || time.startsWith('0001-')) return null
  const ms = Date.parse(time)
  return Number.isNaN(ms) ? null : ms
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)]
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`
}

function relative(ms: number): string {
  const size = Math.abs(ms)
  const [unit, length] = STEPS.find(([, , below]) => size < below) ?? ['day', 86_400_000]
  return formats.value.relative.format(Math.trunc(ms / length), unit)
}
