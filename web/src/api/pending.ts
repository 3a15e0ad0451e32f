/**
 * Routes that docs/openapi.json does not describe yet. Each goes when `npm run api` brings it; a route that is in both does
 * not compile.
 */
interface Ok<T> {
  parameters: { query?: { groupId?: number } }
  responses: {
    200: { headers: Record<string, unknown>; content: { 'application/json': { code: 0; message: string; data: T } } }
  }
}

/** Tokens of all attempts of a span of time. */
export interface Tokens {
  input_tokens: number
  output_tokens: number
  cached_tokens: number
  reasoning_tokens: number
  attempts: number
}

export interface PendingPaths {
  '/api/dashboard/errors': {
    get: Ok<{ hours: number; errors: { class: string; attempts: number; requests: number }[] }>
  }
  '/api/dashboard/tokens': {
    get: Ok<{ tokens_24_hour: Tokens; tokens_previous_24_hour: Tokens; tokens_7_day: Tokens; tokens_30_day: Tokens }>
  }
}
