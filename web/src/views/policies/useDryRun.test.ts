import { expect, it } from 'vitest'
import { bare } from './problems'
import { bodyOf, sampleOf } from './useDryRun'

it('a sample of nothing but a request holds no answer', () => {
  expect(bodyOf(sampleOf('model_filter'), { group_id: 3 })).toEqual({ group_id: 3, model: 'gpt-4o-mini' })
})

it('what is empty is not sent, and zero is not empty', () => {
  const sample = { ...sampleOf('retry'), message: '', failure_count: 0, class: 'rate_limited' as const }
  const policy = { type: 'retry' }
  expect(bodyOf(sample, { policy })).toEqual({
    policy,
    model: 'gpt-4o-mini',
    status: 429,
    failure_count: 0,
    class: 'rate_limited'
  })
})

it('the name of the field is not said twice', () => {
  expect(bare({ 'config.limit': 'config.limit: too small', name: 'taken' })).toEqual({
    'config.limit': 'too small',
    name: 'taken'
  })
})
