import { i18n } from '@/locales'
import type { ApiError } from './errors'

/** An error in words: what happened and what to do. The server's own words where it gave some. */
export function explain(error: ApiError): string {
  if (error.kind === 'network' || error.kind === 'unauthorized' || error.message === '') {
    return i18n.global.t(`errors.${error.kind}`, { status: error.status })
  }
  return error.message
}
