import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref, type EffectScope } from 'vue'
import { ApiError } from '@/api/errors'
import { session } from '@/api/session'
import { useResource, type Resource, type ResourceOptions } from './useResource'

let scope: EffectScope
session.begin('key')

beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

function resource<T>(load: (signal: AbortSignal) => Promise<T>, options?: ResourceOptions): Resource<T> {
  return scope.run(() => useResource(load, options)) as Resource<T>
}

async function settle() {
  await vi.advanceTimersByTimeAsync(0)
}

it('what was loaded stays when a later load fails, and the error is told', async () => {
  const failure = new ApiError('unavailable', 503, 'DATABASE_ERROR', 'away')
  const load = vi.fn().mockResolvedValueOnce(1).mockRejectedValueOnce(failure).mockResolvedValueOnce(2)
  const { data, error, isLoading, refresh } = resource<number>(load)
  expect([data.value, isLoading.value]).toEqual([undefined, true])
  await settle()
  expect([data.value, error.value, isLoading.value]).toEqual([1, undefined, false])
  await refresh()
  expect([data.value, error.value]).toEqual([1, failure])
  await refresh()
  expect([data.value, error.value]).toEqual([2, undefined])
})

it('the answer of an outdated request is dropped, in whatever order they come', async () => {
  const answers: ((value: string) => void)[] = []
  const signals: AbortSignal[] = []
  const filter = ref('a')
  const { data } = resource(
    signal => {
      signals.push(signal)
      return new Promise<string>(resolve => answers.push(resolve))
    },
    { watch: [filter] }
  )
  filter.value = 'b'
  await nextTick()
  answers[1]?.('of b')
  answers[0]?.('of a')
  await settle()
  expect(data.value).toBe('of b')
  expect(signals.map(signal => signal.aborted)).toEqual([true, false])
})

it('where no events come it polls, and ends with its scope', async () => {
  const load = vi.fn().mockResolvedValue(1)
  resource(load, { live: ['keys'], pollMs: 5000 })
  await settle()
  expect(load).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(15_001)
  expect(load).toHaveBeenCalledTimes(4)
  scope.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).toHaveBeenCalledTimes(4)
})

it('it asks nothing with a key that was refused, and everything again with the next one', async () => {
  const load = vi.fn().mockResolvedValue(1)
  resource(load, { live: ['keys'], pollMs: 5000 })
  await settle()
  session.expire()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).toHaveBeenCalledTimes(1)
  session.begin('another key')
  await nextTick()
  expect(load).toHaveBeenCalledTimes(2)
})

it('without a topic it loads once', async () => {
  const load = vi.fn().mockResolvedValue(1)
  resource(load)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).toHaveBeenCalledTimes(1)
})
