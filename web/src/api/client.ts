import createClient, { type Middleware } from 'openapi-fetch'
import { currentLocale } from '@/locales'
import { baseUrl } from '@/utils/base'
import { ApiError, isAbort, toApiError } from './errors'
import { reachability } from './reachability'
import type { PendingPaths } from './pending'
import type { paths } from './schema'
import { session } from './session'

const headers: Middleware = {
  onRequest({ request }) {
    if (session.key.value) request.headers.set('Authorization', `Bearer ${session.key.value}`)
    request.headers.set('Accept-Language', currentLocale())
    return request
  },
  onResponse({ response, schemaPath }) {
    reachability.answered()
    if (response.status === 401 && schemaPath !== '/api/auth/login') session.expire()
  },
  onError({ error }) {
    if (!isAbort(error)) reachability.failed()
  }
}

/** The typed client of the management API. Nearly always called inside of [`unwrap`]. */
export const api = createClient<paths & PendingPaths>({ baseUrl })
api.use(headers)

/** What the envelope `{code, message, data}` holds. */
type Data<T> = T extends { data?: infer D } ? D : T

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/**
 * The `data` of an answer; throws an [`ApiError`] otherwise.
 *
 *     const groups = await unwrap(api.GET('/api/groups'))
 */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<NonNullable<Data<T>>> {
  const body = await whole(call)
  return (body as { data: NonNullable<Data<T>> }).data
}

/** The whole envelope of an answer, for the calls whose `message` is worth showing; throws an [`ApiError`] otherwise. */
export async function whole<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await call
  } catch (error) {
    if (isAbort(error)) throw error
    throw new ApiError('network', 0, '', '')
  }
  if (!answer.response.ok || answer.error !== undefined) throw toApiError(answer.response, answer.error)
  return answer.data as T
}
