/** The colours of the product, once. They become CSS variables (`--c-…`) and the theme of Naive UI. */
export interface Tokens {
  /** Behind everything. */
  bg: string
  /** Panels, tables, menus. */
  surface: string
  /** Inputs inside of panels, code, table heads. */
  sunken: string
  /** Under the pointer. */
  hover: string
  border: string
  borderStrong: string
  text: string
  muted: string
  faint: string
  accent: string
  accentHover: string
  accentSoft: string
  onAccent: string
  /** Bars and lines of charts that mean nothing bad. */
  series: string
  success: string
  successSoft: string
  warning: string
  warningSoft: string
  danger: string
  dangerSoft: string
  info: string
  infoSoft: string
  orange: string
  orangeSoft: string
  shadow: string
}

export const light: Tokens = {
  bg: '#f6f7f9',
  surface: '#ffffff',
  sunken: '#f3f4f7',
  hover: '#eef0f4',
  border: '#e3e6eb',
  borderStrong: '#cfd4dc',
  text: '#171a20',
  muted: '#555d6b',
  faint: '#636b79',
  accent: '#4651d0',
  accentHover: '#3a44b8',
  accentSoft: '#ebedfb',
  onAccent: '#ffffff',
  series: '#5560dd',
  success: '#12784a',
  successSoft: '#e3f5eb',
  warning: '#95560a',
  warningSoft: '#fdf1da',
  danger: '#c02638',
  dangerSoft: '#fce9eb',
  info: '#2563b8',
  infoSoft: '#e6effb',
  orange: '#b5400f',
  orangeSoft: '#fdebe1',
  shadow: '0 1px 2px rgb(16 24 40 / 5%)'
}

export const dark: Tokens = {
  bg: '#0d0f13',
  surface: '#14171c',
  sunken: '#1a1e25',
  hover: '#1f242c',
  border: '#252a33',
  borderStrong: '#363d49',
  text: '#e6e8ed',
  muted: '#a3aab6',
  faint: '#8a92a0',
  accent: '#8a94ff',
  accentHover: '#a0a8ff',
  accentSoft: '#20244a',
  onAccent: '#0d0f1f',
  series: '#6670ea',
  success: '#4cc38a',
  successSoft: '#12291f',
  warning: '#e5b155',
  warningSoft: '#2d2412',
  danger: '#ff7a85',
  dangerSoft: '#34171c',
  info: '#72aef5',
  infoSoft: '#14263d',
  orange: '#f79563',
  orangeSoft: '#331c12',
  shadow: '0 1px 2px rgb(0 0 0 / 40%)'
}

export const FONT =
  "'Inter Variable', system-ui, -apple-system, 'Segoe UI', 'PingFang SC', 'Hiragino Sans', 'Microsoft YaHei', 'Yu Gothic UI', 'Noto Sans CJK SC', sans-serif"
export const MONO = "'JetBrains Mono Variable', ui-monospace, 'SF Mono', Menlo, Consolas, monospace"
