import { expect, it } from 'vitest'
import { readCluster } from './pending'

it('a cluster is read as it is described', () => {
  const told = {
    name: 'a',
    role: 'leader',
    is_self: true,
    address: '10.0.0.1:3001',
    version: '0.1.0',
    started_at: '2026-01-31T12:00:00Z',
    seen_at: '2026-01-31T12:00:05Z',
    lag_ms: 0,
    journal_bytes: 4096
  }
  expect(readCluster({ nodes: [told], leader: 'a', epoch: 7, mode: 'redis' })).toEqual({
    nodes: [
      {
        name: 'a',
        role: 'leader',
        isSelf: true,
        address: '10.0.0.1:3001',
        version: '0.1.0',
        startedAt: '2026-01-31T12:00:00Z',
        seenAt: '2026-01-31T12:00:05Z',
        lagMs: 0,
        journalBytes: 4096
      }
    ],
    leader: 'a',
    epoch: 7,
    mode: 'redis'
  })
})

it.each([undefined, null, 'x', {}, { nodes: null }, { nodes: [null, 3, {}] }])('%j is a cluster of nobody', value => {
  expect(readCluster(value)).toEqual({ nodes: [], leader: '', epoch: null, mode: '' })
})

it('what a node does not tell is not known', () => {
  const [node] = readCluster({ nodes: [{ node: 'b', role: 'observer', journal: { bytes: 12 } }] }).nodes
  expect(node).toMatchObject({ name: 'b', role: 'unknown', lagMs: null, journalBytes: 12, seenAt: null })
})
