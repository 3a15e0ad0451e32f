// Written by hand until docs/openapi.json exists; `npm run api` replaces it.
interface Ok<T> {
  responses: { 200: { headers: Record<string, unknown>; content: { 'application/json': { code: number; message: string; data: T } } } }
}
interface Card {
  value: number
  sub_value?: number
  sub_value_tip?: string
  trend: number
  trend_is_growth: boolean
}
interface Task {
  task_type: string
  is_running: boolean
  group_name?: string
  processed: number
  total: number
  result?: Record<string, number>
  error?: string
  is_cancelled?: boolean
  started_at: string
  finished_at?: string
}
interface Setting {
  key: string
  name: string
  value: string | number | boolean
  type: 'int' | 'bool' | 'string'
  default_value: string
  min_value?: number
  max_value?: number
  values?: string[]
  description: string
  category: string
  required: boolean
}
interface Group {
  id: number
  name: string
  display_name: string
  group_type: string
  channel_type: string
  key_count: number
  active_key_count: number
}
export interface paths {
  '/api/groups': { get: Ok<Group[]> }
  '/api/groups/list': { get: Ok<{ id: number; name: string; display_name: string }[]> }
  '/api/tasks/status': { get: Ok<Task> }
  '/api/tasks/cancel': { post: Ok<Task> }
  '/api/dashboard/stats': {
    get: Ok<{
      key_count: Card
      rpm: Card
      request_count: Card
      error_rate: Card
      security_warnings: { type: string; message: string; severity: string; suggestion: string }[]
      total_requests: number
      success_rate: number
      active_groups: number
      total_keys: number
      system_health: string
    }>
  }
  '/api/dashboard/chart': {
    get: Ok<{ labels: string[]; datasets: { label: string; data: number[]; color: string }[] }> & {
      parameters: { query?: { groupId?: number } }
    }
  }
  '/api/dashboard/encryption-status': {
    get: Ok<{ has_mismatch: boolean; scenario_type: string; message: string; suggestion: string }>
  }
  '/api/settings': {
    get: Ok<{ category_name: string; settings: Setting[] }[]>
    put: Ok<never> & { requestBody: { content: { 'application/json': Record<string, unknown> } } }
  }
}
