import type { Schemas } from '@/api/types'

export type Link = Pick<Schemas['GroupPolicy'], 'policy_id' | 'priority' | 'is_active'>

function bare({ policy_id, priority, is_active }: Link): Link {
  return { policy_id, priority, is_active }
}

/** The links of a group with one more, which is asked last. */
export function attached(links: readonly Link[], policy_id: number): Link[] {
  if (links.some(link => link.policy_id === policy_id)) return links.map(bare)
  const last = Math.max(-1, ...links.map(link => link.priority))
  return [...links.map(bare), { policy_id, priority: last + 1, is_active: true }]
}

/** The links of a group without one. */
export function detached(links: readonly Link[], policy_id: number): Link[] {
  return links.filter(link => link.policy_id !== policy_id).map(bare)
}

/** The links of a group with one switched on or off. */
export function switched(links: readonly Link[], policy_id: number, is_active: boolean): Link[] {
  return links.map(link => (link.policy_id === policy_id ? { ...bare(link), is_active } : bare(link)))
}
