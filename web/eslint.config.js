import js from '@eslint/js'
import prettier from 'eslint-config-prettier'
import vue from 'eslint-plugin-vue'
import globals from 'globals'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['dist', 'node_modules', 'src/api/schema.ts'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...vue.configs['flat/recommended'],
  {
    files: ['**/*.vue'],
    languageOptions: { parserOptions: { parser: ts.parser } }
  },
  {
    files: ['**/*.{ts,vue}'],
    languageOptions: { globals: globals.browser },
    rules: {
      'no-undef': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', 250],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      'vue/multi-word-component-names': 'off',
      'vue/block-lang': ['error', { script: { lang: 'ts' } }],
      'vue/block-order': ['error', { order: ['script', 'template', 'style'] }],
      'vue/component-api-style': ['error', ['script-setup']],
      'vue/define-emits-declaration': 'error',
      'vue/define-props-declaration': 'error',
      'vue/require-default-prop': 'off',
      // The Content-Security-Policy forbids style attributes in HTML, and all texts come in three languages.
      'vue/no-static-inline-styles': 'error',
      'vue/no-v-html': 'error',
      'vue/no-bare-strings-in-template': ['error', { allowlist: ['·', '–', '—', '/', '%', '×', ':', '→', 'GPT-Load'] }],
      // Templates show; what there is to compute has a name in the script.
      'vue/no-restricted-syntax': [
        'error',
        {
          selector: 'VElement ConditionalExpression ConditionalExpression, VElement FunctionExpression',
          message: 'Logic belongs into the script.'
        }
      ]
    }
  },
  {
    // Playwright reads from the pattern which fixtures are wanted; an empty one says none. Figures are printed.
    files: ['e2e/**/*.ts'],
    rules: { 'no-empty-pattern': 'off', 'no-console': 'off' }
  },
  prettier
)
