import { expect, it } from 'vitest'
import { toApiError } from './errors'

it('an answer of the API keeps its code, message, fields and the time to wait', () => {
  const body = {
    code: 'VALIDATION_FAILED',
    message: 'Bad weight',
    details: [
      { field: 'upstreams[1].weight', message: 'at least 0' },
      { field: 'name', message: 'taken' }
    ]
  }
  const error = toApiError(new Response('', { status: 400, headers: { 'Retry-After': '5' } }), body)
  expect([error.kind, error.status, error.code, error.message, error.retryAfter]).toEqual([
    'invalid',
    400,
    'VALIDATION_FAILED',
    'Bad weight',
    5
  ])
  expect(error.fields).toEqual({ 'upstreams[1].weight': 'at least 0', name: 'taken' })
})

it.each([
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'notFound'],
  [409, 'conflict'],
  [429, 'throttled'],
  [503, 'unavailable'],
  [500, 'server'],
  [418, 'server']
])('%i is %s, also when a reverse proxy answered with HTML', (status, kind) => {
  for (const body of ['<html>', null, undefined, 7, { details: 'no list' }]) {
    const error = toApiError(new Response('', { status }), body)
    expect([error.kind, error.code, error.message, error.fields, error.retryAfter]).toEqual([kind, '', '', {}, null])
  }
})
