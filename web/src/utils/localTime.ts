/** RFC 3339 → the value of an `<input type="datetime-local">`, in the zone of this browser, in minutes. Empty when it is no time. */
export function toLocalInput(time: string): string {
  const ms = Date.parse(time)
  if (Number.isNaN(ms)) return ''
  const shifted = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000)
  return shifted.toISOString().slice(0, 16)
}

/** The value of an `<input type="datetime-local">` → RFC 3339 in UTC. Empty when it is no time. */
export function fromLocalInput(value: string): string {
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString()
}
