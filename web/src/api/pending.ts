import { api } from './client'
import { ApiError, isAbort, toApiError } from './errors'

// Routes that docs/openapi.json does not describe yet. What they answer is read with care: members may come and go.

export type NodeRole = 'leader' | 'follower' | 'eligible' | 'unknown'

/** One node of the cluster. Null = not told. */
export interface ClusterNode {
  name: string
  role: NodeRole
  isSelf: boolean
  address: string
  version: string
  startedAt: string | null
  seenAt: string | null
  /** How far what it knows is behind the leader, in ms. */
  lagMs: number | null
  /** Size of what waits on its disk for the database. */
  journalBytes: number | null
}

export interface Cluster {
  nodes: ClusterNode[]
  leader: string
  epoch: number | null
  mode: string
}

type Members = Record<string, unknown>

/** `GET /api/cluster`; null where the node knows of no cluster. */
export async function getCluster(signal: AbortSignal): Promise<Cluster | null> {
  let answer: { data?: unknown; error?: unknown; response: Response }
  try {
    answer = await (api.GET as (path: string, init: object) => Promise<typeof answer>)('/api/cluster', { signal })
  } catch (error) {
    if (isAbort(error)) throw error
    throw new ApiError('network', 0, '', '')
  }
  if (answer.response.status === 404) return null
  if (!answer.response.ok) throw toApiError(answer.response, answer.error)
  return readCluster((answer.data as { data?: unknown }).data)
}

/** Reads whatever came; nodes without a name are left out. */
export function readCluster(value: unknown): Cluster {
  const of = members(value)
  const nodes = Array.isArray(of.nodes) ? of.nodes.map(members) : []
  return {
    nodes: nodes.map(readNode).filter(node => node.name !== ''),
    leader: text(of.leader) || text(members(of.leader).name),
    epoch: number(of.epoch),
    mode: text(of.mode)
  }
}

const ROLES: NodeRole[] = ['leader', 'follower', 'eligible']

function readNode(of: Members): ClusterNode {
  return {
    name: text(of.name) || text(of.node) || text(of.id),
    role: ROLES.find(role => role === of.role) ?? 'unknown',
    isSelf: of.is_self === true,
    address: text(of.address),
    version: text(of.version),
    startedAt: text(of.started_at) || null,
    seenAt: text(of.seen_at) || null,
    lagMs: number(of.lag_ms),
    journalBytes: number(of.journal_bytes) ?? number(members(of.journal).bytes)
  }
}

function members(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
