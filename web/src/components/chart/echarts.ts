import { BarChart } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

// What charts of this product consist of; whoever needs more adds it here.
use([BarChart, GridComponent, TooltipComponent, CanvasRenderer])

export { init }
