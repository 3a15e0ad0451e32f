/** One event of a stream of server-sent events. */
export interface Sent {
  event: string
  data: string
}

/** Cuts a stream of server-sent events into events, whatever pieces it arrives in. Comments are dropped. */
export function sseReader(onEvent: (sent: Sent) => void): (text: string) => void {
  let rest = ''
  let event = ''
  let data: string[] = []

  function line(text: string) {
    if (text === '') {
      if (data.length > 0) onEvent({ event, data: data.join('\n') })
      event = ''
      data = []
      return
    }
    const colon = text.indexOf(':')
    const field = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') event = value
    if (field === 'data') data.push(value)
  }

  return text => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    lines.forEach(line)
  }
}
