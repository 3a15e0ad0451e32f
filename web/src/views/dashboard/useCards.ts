import { computed, type ComputedRef, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import type { Schemas } from '@/api/types'
import type { StatCardProps } from '@/components/statCard'
import { useFormat } from '@/composables/useFormat'
import type { Stats } from './useStats'

type Card = Schemas['DashboardCard']

/** The four cards, in words. */
export function useCards(stats: Ref<Stats | undefined>): ComputedRef<StatCardProps[]> {
  const { t } = useI18n()
  const { number, percent } = useFormat()

  /** Percent against the span of time before. A growing number is neither good nor bad. */
  function change(card: Card | undefined, before: string): Partial<StatCardProps> {
    if (!card || card.trend === 0) return { note: t('dashboard.unchanged') }
    return { trend: signed(card.trend / 100), isUp: card.trend > 0, tone: 'plain', note: before }
  }

  /** Percentage points; fewer failures are good. */
  function errorChange(card: Card | undefined): Partial<StatCardProps> {
    if (!card || card.trend === 0) return { note: t('dashboard.unchanged') }
    const tone = card.trend_is_growth ? 'good' : 'bad'
    return { trend: signed(card.trend / 100), isUp: card.trend > 0, tone, note: t('dashboard.beforeDay') }
  }

  function signed(ratio: number): string {
    return percent(Math.abs(ratio))
  }

  return computed(() => {
    const of = stats.value
    const invalid = of?.key_count.sub_value ?? 0
    return [
      {
        label: t('dashboard.keys'),
        value: number(of?.key_count.value ?? 0),
        unit: t('dashboard.ofKeys', { n: number(of?.total_keys ?? 0) }),
        note: invalid > 0 ? t('dashboard.invalidKeys', { n: number(invalid) }) : t('dashboard.noInvalidKeys'),
        tone: invalid > 0 ? 'bad' : 'plain'
      },
      {
        label: t('dashboard.requests'),
        value: number(of?.request_count.value ?? 0),
        ...change(of?.request_count, t('dashboard.beforeDay'))
      },
      {
        label: t('dashboard.rpm'),
        value: number(of?.rpm.value ?? 0),
        ...change(of?.rpm, t('dashboard.beforeMinutes'))
      },
      {
        label: t('dashboard.errorRate'),
        value: percent((of?.error_rate.value ?? 0) / 100),
        ...errorChange(of?.error_rate)
      }
    ]
  })
}
