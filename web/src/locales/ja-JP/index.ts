import { dateJaJP, jaJP } from 'naive-ui'
import { assemble } from '../assemble'

// Every file of this folder is an area: `keys.json` holds what `t('keys.…')` reads.
export default assemble(import.meta.glob('./*.json', { eager: true, import: 'default' }))

/** The words of Naive UI itself. */
export const naive = { locale: jaJP, date: dateJaJP }
