import { expect, it } from 'vitest'
import { sseReader, type Sent } from './sse'

const STREAM =
  'retry: 2000\nid: a-1\nevent: hello\ndata: {"x":1}\n\n: still here\n\nevent: logs\r\ndata: 1\r\ndata: 2\r\n\r\ndata\n\nid: 7\n\n'
const EXPECTED: Sent[] = [
  { event: 'hello', data: '{"x":1}' },
  { event: 'logs', data: '1\n2' },
  { event: '', data: '' }
]

function read(pieces: string[]): Sent[] {
  const sent: Sent[] = []
  const reader = sseReader(one => sent.push(one))
  pieces.forEach(reader)
  return sent
}

it('events are the same whatever pieces they arrive in', () => {
  expect(read([STREAM])).toEqual(EXPECTED)
  expect(read([...STREAM])).toEqual(EXPECTED)
  for (let cut = 1; cut < STREAM.length; cut += 1) {
    expect(read([STREAM.slice(0, cut), STREAM.slice(cut)]), `cut at ${cut}`).toEqual(EXPECTED)
  }
})

it('an event that was cut off is not told', () => {
  expect(read(['event: keys\ndata: {"group_id":'])).toEqual([])
})
