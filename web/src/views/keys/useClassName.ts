import { useI18n } from 'vue-i18n'

/** Classes of outcomes in words. */
export function useClassName() {
  const { t, te } = useI18n()
  return {
    /** Empty for none; a class without words is shown as it is. */
    className: (name: string | null | undefined) => {
      if (!name) return ''
      return te(`classes.${name}`) ? t(`classes.${name}`) : name
    }
  }
}
