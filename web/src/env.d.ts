import 'vue'

declare module 'vue' {
  /** Attributes that every component may be given; they land on its root element. */
  interface AllowedComponentProps {
    [aria: `aria-${string}`]: unknown
    [data: `data-${string}`]: unknown
    role?: string
    title?: string
    id?: string
  }
}
