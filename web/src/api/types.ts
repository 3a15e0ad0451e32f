import type { components } from './schema'

/** The words of the API by name: `Schemas['Group']`. */
export type Schemas = components['schemas']
