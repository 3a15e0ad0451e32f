import type { GlobalThemeOverrides } from 'naive-ui'
import { FONT, MONO, type Tokens } from './tokens'

/** What Naive UI shall look like. */
export function overrides(c: Tokens): GlobalThemeOverrides {
  return {
    common: {
      fontFamily: FONT,
      fontFamilyMono: MONO,
      fontSize: '13px',
      fontSizeSmall: '13px',
      fontSizeMedium: '13px',
      fontSizeLarge: '14px',
      fontWeightStrong: '600',
      borderRadius: '6px',
      borderRadiusSmall: '4px',
      heightMedium: '32px',
      heightLarge: '38px',
      bodyColor: c.bg,
      cardColor: c.surface,
      modalColor: c.surface,
      popoverColor: c.surface,
      tableColor: c.surface,
      tableHeaderColor: c.surface,
      tableColorHover: c.hover,
      inputColor: c.surface,
      hoverColor: c.hover,
      actionColor: c.sunken,
      tagColor: c.sunken,
      codeColor: c.sunken,
      borderColor: c.border,
      dividerColor: c.border,
      textColorBase: c.text,
      textColor1: c.text,
      textColor2: c.text,
      textColor3: c.muted,
      placeholderColor: c.faint,
      primaryColor: c.accent,
      primaryColorHover: c.accentHover,
      primaryColorPressed: c.accentHover,
      primaryColorSuppl: c.accent,
      successColor: c.success,
      warningColor: c.warning,
      errorColor: c.danger,
      errorColorHover: c.danger,
      errorColorPressed: c.danger,
      infoColor: c.info
    },
    Button: { fontWeight: '500', textColorPrimary: c.onAccent, textColorHoverPrimary: c.onAccent },
    Card: { borderRadius: '8px', borderColor: c.border, titleFontSizeMedium: '14px', paddingMedium: '16px' },
    DataTable: {
      thColor: c.surface,
      thTextColor: c.muted,
      thFontWeight: '500',
      thPaddingMedium: '8px 12px',
      tdPaddingMedium: '8px 12px',
      borderColor: c.border,
      fontSizeMedium: '13px'
    },
    Dialog: { borderRadius: '10px', titleFontSize: '15px' },
    Drawer: { color: c.surface },
    Form: { labelTextColor: c.text, labelFontSizeTopMedium: '13px', feedbackFontSizeMedium: '12px' },
    Input: { border: `1px solid ${c.borderStrong}`, color: c.surface, placeholderColor: c.faint },
    InternalSelection: { border: `1px solid ${c.borderStrong}`, color: c.surface, placeholderColor: c.faint },
    Menu: { borderRadius: '6px' },
    Tag: { borderRadius: '4px', fontWeightStrong: '500' },
    Tooltip: { borderRadius: '6px', padding: '6px 10px' }
  }
}
