/** A secret as it may stand on a screen: `sk-p••••wxyz`; short ones completely hidden. Masked ones stay as they are. */
export function mask(secret: string): string {
  if (secret.includes('****')) return secret
  return secret.length < 16 ? '••••••••' : `${secret.slice(0, 4)}••••${secret.slice(-4)}`
}
