import type { EChartsCoreOption } from 'echarts/core'
import { computed, type Ref } from 'vue'
import { api, unwrap } from '@/api/client'
import { useFormat } from '@/composables/useFormat'
import { useResource } from '@/composables/useResource'
import { useTheme } from '@/composables/useTheme'
import { FONT } from '@/theme/tokens'

/** Requests per hour of the last 24, of one group or all. */
export function useTraffic(group: Ref<number | null>) {
  const { number, compact, hour, exactTime } = useFormat()
  const { tokens } = useTheme()

  const chart = useResource(
    signal =>
      unwrap(api.GET('/api/dashboard/chart', { params: { query: { groupId: group.value ?? undefined } }, signal })),
    { watch: [group], live: ['logs'] }
  )

  const series = computed(() => {
    const [successes, failures] = chart.data.value?.datasets ?? []
    return { labels: chart.data.value?.labels ?? [], successes: successes?.data ?? [], failures: failures?.data ?? [] }
  })

  const rows = computed(() =>
    series.value.labels.map((label, index) => ({
      hour: exactTime(label),
      successes: number(series.value.successes[index] ?? 0),
      failures: number(series.value.failures[index] ?? 0)
    }))
  )

  const totals = computed(() => {
    const successes = sum(series.value.successes)
    const failures = sum(series.value.failures)
    return { requests: number(successes + failures), successes: number(successes), failures: number(failures) }
  })

  const options = computed<EChartsCoreOption>(() => {
    const c = tokens.value
    const text = { color: c.faint, fontFamily: FONT, fontSize: 11 }
    const bar = { type: 'bar', stack: 'requests', barMaxWidth: 22, barCategoryGap: '28%' }
    return {
      animationDuration: 250,
      grid: { left: 4, right: 4, top: 12, bottom: 0, containLabel: true },
      xAxis: {
        type: 'category',
        data: series.value.labels.map(hour),
        axisLine: { lineStyle: { color: c.border } },
        axisTick: { show: false },
        axisLabel: { ...text, hideOverlap: true, margin: 10 }
      },
      yAxis: {
        type: 'value',
        minInterval: 1,
        splitNumber: 4,
        axisLabel: { ...text, formatter: compact },
        splitLine: { lineStyle: { color: c.border } }
      },
      series: [
        { ...bar, data: series.value.successes, itemStyle: { color: c.series, borderRadius: [2, 2, 0, 0] } },
        { ...bar, data: series.value.failures, itemStyle: { color: c.danger, borderRadius: [2, 2, 0, 0] } }
      ]
    }
  })

  return { chart, rows, totals, options }
}

function sum(counts: number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
