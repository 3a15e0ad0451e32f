import { describe, expect, it } from 'vitest'
import { hintsOf, readKeyText } from './keyText'

const A = 'sk-aaaaaaaaaaaaaaaa'
const B = 'sk-bbbbbbbbbbbbbbbb'

describe('a text of keys', () => {
  it('is split as the server does', () => {
    expect(readKeyText(`${A}\n${B},${A};\t${B} `)).toMatchObject({ keys: 4, repeated: 2 })
    expect(readKeyText(JSON.stringify([A, ` ${B} `, '']))).toMatchObject({ keys: 2, repeated: 0, isBrokenJson: false })
    expect(readKeyText(' \n ').keys).toBe(0)
  })

  it('gives no hint when there is none to give', () => {
    expect(hintsOf(readKeyText(`${A}\n${B}`))).toEqual([])
  })

  it('tells of what may be a mistake', () => {
    expect(hintsOf(readKeyText(`${A}\n${A}`))).toEqual([{ name: 'repeated', n: 1 }])
    expect(hintsOf(readKeyText(`name:\n${A}`))).toEqual([{ name: 'short', n: 1 }])
    expect(hintsOf(readKeyText(`${A}，${B}`))).toEqual([{ name: 'strange', n: 1 }])
    expect(hintsOf(readKeyText(`me@example.com----${A}`))).toEqual([{ name: 'glued', n: 1 }])
    expect(hintsOf(readKeyText(`["${A}", "${B}"`))).toEqual([{ name: 'json', n: 2 }])
  })
})
