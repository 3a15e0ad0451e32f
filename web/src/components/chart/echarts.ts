import { BarChart } from 'echarts/charts'
import { GridSimpleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

// What charts of this product consist of; whoever needs more adds it here. The tooltip is HTML of our own (slot `tip` of Chart): that
// of ECharts weighs as much as a page.
use([BarChart, GridSimpleComponent, CanvasRenderer])

export { init }
