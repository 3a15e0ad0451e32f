/** Hands a file to the browser's downloads. The key stays in the header of the request that fetched it, never in an address. */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // The browser may read it after this call.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}

/** The name that an answer gives its file. */
export function fileNameOf(response: Response, otherwise: string): string {
  return /filename="?([^";]+)"?/.exec(response.headers.get('Content-Disposition') ?? '')?.[1] ?? otherwise
}
