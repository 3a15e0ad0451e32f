/** What a text of keys holds, as the server will read it. Nothing is dropped here: it only tells what may be a mistake. */
export interface KeyTextReading {
  keys: number
  /** Of them, those that stand there more than once. */
  repeated: number
  /** Shorter than any provider's keys. */
  short: number
  /** With characters that no HTTP header carries, such as quotes of a word processor or full-width commas. */
  strange: number
  /** With separators that are none here: probably more than the key. */
  glued: number
  /** Begins like a JSON array, but is none. */
  isBrokenJson: boolean
}

const SHORT = 12
const PRINTABLE = /^[\x21-\x7e]+$/
const GLUE = /----|\|/

export function readKeyText(text: string): KeyTextReading {
  const array = jsonArray(text)
  const keys = (array ?? text.split(/[\s,;]+/)).map(key => key.trim()).filter(key => key !== '')
  const count = (test: (key: string) => boolean) => keys.filter(test).length
  return {
    keys: keys.length,
    repeated: keys.length - new Set(keys).size,
    short: count(key => key.length < SHORT),
    strange: count(key => !PRINTABLE.test(key)),
    glued: count(key => GLUE.test(key)),
    isBrokenJson: array === null && text.trimStart().startsWith('[')
  }
}

const COUNTED = ['repeated', 'short', 'strange', 'glued'] as const

export interface Hint {
  name: (typeof COUNTED)[number] | 'json'
  /** How many keys it is about. */
  n: number
}

/** What a person should look at before they send it. */
export function hintsOf(reading: KeyTextReading): Hint[] {
  const counted = COUNTED.map(name => ({ name, n: reading[name] })).filter(({ n }) => n > 0)
  return reading.isBrokenJson ? [{ name: 'json', n: reading.keys }, ...counted] : counted
}

function jsonArray(text: string): string[] | null {
  if (!text.trimStart().startsWith('[')) return null
  try {
    const parsed: unknown = JSON.parse(text)
    const isTexts = Array.isArray(parsed) && parsed.length > 0 && parsed.every(item => typeof item === 'string')
    return isTexts ? parsed : null
  } catch {
    return null
  }
}
