export interface StatCardProps {
  label: string
  /** The number, formatted; empty while it is not known. */
  value: string
  /** Small, behind the number. */
  unit?: string
  /** How the number changed, formatted, without sign. */
  trend?: string
  isUp?: boolean
  /** Whether that is good, bad or neither. */
  tone?: 'good' | 'bad' | 'plain'
  /** What the trend is compared with, or another fact. */
  note?: string
}
