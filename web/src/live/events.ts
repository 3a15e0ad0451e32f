import { readonly, ref } from 'vue'
import { session } from '@/api/session'
import { baseUrl } from '@/utils/base'
import { sseReader, type Sent } from './sse'

export const TOPICS = ['keys', 'groups', 'settings', 'task', 'logs', 'policies', 'guard', 'cluster'] as const
export type Topic = (typeof TOPICS)[number]

/** Something changed on the server. Events say little of what; who needs more asks the API. */
export interface LiveEvent {
  type: Topic
  group_id?: number
  [member: string]: unknown
}

type Listener = (event: LiveEvent) => void

const RETRY_MS = [1000, 2000, 5000, 15000]

const isLive = ref(false)
const listeners = new Set<Listener>()
let stream: AbortController | undefined

/** Whether changes arrive by themselves. While not, whoever shows data polls. */
export const liveness = { isLive: readonly(isLive) }

/** Calls `listener` for every event until the returned function is called. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Listens to the server for as long as it accepts the key. EventSource cannot send the key, hence fetch. */
export async function listen(): Promise<void> {
  stream?.abort()
  const own = (stream = new AbortController())
  for (let failures = 0; !own.signal.aborted && session.isUsable.value; failures += 1) {
    if (await follow(own.signal)) failures = -1
    isLive.value = false
    await pause(RETRY_MS[Math.min(Math.max(failures, 0), RETRY_MS.length - 1)] ?? 0, own.signal)
  }
}

/** Ends it. */
export function hush(): void {
  stream?.abort()
  isLive.value = false
}

/** One connection, to its end. Answers whether it worked at all. */
async function follow(signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${baseUrl}/api/events`, {
      headers: { Authorization: `Bearer ${session.key.value}`, Accept: 'text/event-stream' },
      cache: 'no-store',
      signal
    })
    if (response.status === 401) session.expire()
    const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream')
    if (!response.ok || !isStream || !response.body) return false
    isLive.value = true
    const read = sseReader(publish)
    const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let chunk = await chunks.read(); !chunk.done; chunk = await chunks.read()) read(chunk.value)
    return true
  } catch {
    return isLive.value
  }
}

function publish(sent: Sent) {
  // Events were missed: whoever shows data loads it again.
  if (sent.event === 'resync') return TOPICS.forEach(type => tell({ type }))
  const event = parse(sent)
  if (event) tell(event)
}

function tell(event: LiveEvent) {
  listeners.forEach(listener => listener(event))
}

function parse({ event, data }: Sent): LiveEvent | null {
  try {
    const parsed: unknown = JSON.parse(data)
    const members = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
    const type = TOPICS.find(topic => topic === (members.type ?? event))
    return type ? { ...members, type } : null
  } catch {
    return null
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
