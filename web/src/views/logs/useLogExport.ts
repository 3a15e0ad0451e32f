import type { Ref } from 'vue'
import { api } from '@/api/client'
import { ApiError, toApiError } from '@/api/errors'
import { useAction } from '@/composables/useAction'
import { fileNameOf, saveFile } from '@/utils/saveFile'
import { toApi, type LogFilters } from './filters'

/** Saves the keys of the rows that the filters let through, as CSV. */
export function useLogExport(filters: Ref<LogFilters>) {
  return useAction(async () => {
    const query = toApi(filters.value, Date.now())
    const answer = await api.GET('/api/logs/export', { params: { query }, parseAs: 'blob' }).catch(() => {
      throw new ApiError('network', 0, '', '')
    })
    if (!answer.response.ok) throw toApiError(answer.response, answer.error)
    saveFile(answer.data as Blob, fileNameOf(answer.response, 'logs.csv'))
  })
}
