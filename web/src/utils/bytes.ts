const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** 0 B, 512 B, 1.5 kB, 20 MB. */
export function bytesText(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(1000)))
  const value = bytes / 1000 ** step
  return `${step === 0 || value >= 10 ? Math.round(value) : Math.round(value * 10) / 10} ${UNITS[step]}`
}
