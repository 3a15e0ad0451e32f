/** Whose side a failed call is on, and what the page can do about it. */
export type ErrorKind =
  /** The server does not answer. */
  | 'network'
  /** No key, or one that is no longer accepted. */
  | 'unauthorized'
  /** The key may not do this. */
  | 'forbidden'
  /** A field of the request is wrong; `fields` names it. */
  | 'invalid'
  | 'notFound'
  /** Something of this name exists, or a task is running. */
  | 'conflict'
  /** Too many wrong keys. */
  | 'throttled'
  /** The server cannot for now; trying again helps. */
  | 'unavailable'
  | 'server'

/** A call of the management API that failed. `message` is for people and in their language. */
export class ApiError extends Error {
  constructor(
    readonly kind: ErrorKind,
    readonly status: number,
    /** The code of the envelope, `VALIDATION_FAILED` for example; empty where there was none. */
    readonly code: string,
    message: string,
    /** What is wrong with which field, as the request names it: `upstreams[1].url`. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** Seconds that the server asks to wait. */
    readonly retryAfter: number | null = null
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

const KINDS: Record<number, ErrorKind> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  413: 'invalid',
  422: 'invalid',
  429: 'throttled',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable'
}

interface ErrorBody {
  code?: unknown
  message?: unknown
  details?: { field: string; message: string }[]
}

/** Reads an error answer; `body` is whatever came. */
export function toApiError(response: Response, body: unknown): ApiError {
  const { code, message, details } = (typeof body === 'object' && body !== null ? body : {}) as ErrorBody
  const fields = Object.fromEntries((Array.isArray(details) ? details : []).map(at => [at.field, at.message]))
  const wait = Number(response.headers.get('Retry-After'))
  return new ApiError(
    KINDS[response.status] ?? 'server',
    response.status,
    typeof code === 'string' ? code : '',
    typeof message === 'string' ? message : '',
    fields,
    Number.isFinite(wait) && wait > 0 ? wait : null
  )
}

/** Whether a call ended because nobody waits for it any more. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}
