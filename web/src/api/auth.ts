import { currentLocale } from '@/locales'
import { baseUrl } from '@/utils/base'
import { ApiError, toApiError } from './errors'
import { session, type Role } from './session'

/** Asks the server whether it accepts `key`, and begins a session when it does; throws an [`ApiError`] otherwise. */
export async function logIn(key: string): Promise<void> {
  const response = await send('/api/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Accept-Language': currentLocale() },
    body: JSON.stringify({ auth_key: key })
  })
  if (!response.ok) throw toApiError(response, await response.json().catch(() => null))
  session.begin(key)
  await identify()
}

/** Learns what the key of the session may do. */
export async function identify(): Promise<void> {
  const response = await send('/api/auth/me', { headers: { Authorization: `Bearer ${session.key.value}` } })
  if (response.status === 401) return session.expire()
  if (!response.ok) return
  const { data } = (await response.json()) as { data?: { role?: Role; kind?: string; name?: string } }
  session.identify(data?.role === 'viewer' ? 'viewer' : 'admin', data?.kind === 'token' ? (data.name ?? '') : '')
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(baseUrl + path, init)
  } catch {
    throw new ApiError('network', 0, '', '')
  }
}
