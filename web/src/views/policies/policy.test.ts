import { expect, it } from 'vitest'
import { actionsOf, membersOf, moveRule, newDraft, newRule, operatorsOf, tidy, type Draft } from './policy'
import { misfits } from './shape'

const names = (rules: { name?: string; priority?: number }[]) =>
  rules.map(rule => `${rule.name}${rule.priority}`).join()

it('rules change places, priorities stay', () => {
  const rules = [
    { name: 'a', priority: 1 },
    { name: 'b', priority: 5 },
    { name: 'c', priority: 9 }
  ]
  expect(names(moveRule(rules, 0, 1))).toBe('b1,a5,c9')
  expect(names(moveRule(rules, 2, 0))).toBe('c1,a5,b9')
  expect(names(moveRule(rules, 0, -1))).toBe('a1,b5,c9')
  expect(names(moveRule(rules, 2, 3))).toBe('a1,b5,c9')
})

it('rules come in the order in which they are asked, from wherever they stand, and nothing else changes', () => {
  const rules = [
    { action: 'retry', priority: 3, note: 'kept' },
    { action: 'pass', priority: 1 },
    { action: 'disable' }
  ] as never[]
  const draft = { ...newDraft(), config: { x: 1 }, rules } as unknown as Draft
  expect(tidy(draft).config).toEqual({
    x: 1,
    rules: [{ action: 'disable' }, { action: 'pass', priority: 1 }, { action: 'retry', priority: 3, note: 'kept' }]
  })
  expect('rules' in tidy(draft)).toBe(false)
})

it('a new rule is asked last and can be done by its policy', () => {
  expect(newRule('retry', [{ priority: 4 }, { priority: 2 }])).toMatchObject({ priority: 5, action: 'retry' })
  expect(actionsOf('degradation')).toContain(newRule('degradation', []).action)
  expect(actionsOf('rate_limit')).toEqual([])
})

it('operators fit the condition, and the one in use is never hidden', () => {
  expect(operatorsOf({ type: 'status_code', operator: 'gt' })).toContain('gt')
  expect(operatorsOf({ type: 'model' })).not.toContain('gt')
  expect(operatorsOf({ type: 'model', operator: 'gt' })).toContain('gt')
})

it('only a retry has retries, only what takes a key out for a while has a duration', () => {
  expect(membersOf('retry')).toEqual({ isRetry: true, hasDuration: false })
  expect(membersOf('rest')).toEqual({ isRetry: false, hasDuration: true })
  expect(membersOf('invalidate')).toEqual({ isRetry: false, hasDuration: false })
})

it('the form says what it cannot show, and where', () => {
  expect(misfits(newDraft())).toEqual([])
  expect(misfits({ ...newDraft(), extra: {}, description: null, config: { rules: [{ conditions: [{}] }] } })).toEqual(
    []
  )
  expect(misfits([])).toEqual([{ path: [], must: 'object' }])
  expect(misfits({ type: 'other', is_active: 1, config: { rules: [1], limit: 1.5 } })).toEqual([
    { path: ['type'], must: 'type' },
    { path: ['is_active'], must: 'flag' },
    { path: ['config', 'rules', 0], must: 'object' },
    { path: ['config', 'limit'], must: 'number' }
  ])
})
