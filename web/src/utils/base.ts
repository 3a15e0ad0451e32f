/** The path prefix of this installation, with a slash at its end. The server writes it into <base>. */
export const basePath = new URL('.', document.baseURI).pathname

/** The address that paths like `/api/keys` are relative to: origin and prefix, no slash at its end. */
export const baseUrl = new URL('.', document.baseURI).href.replace(/\/$/, '')
