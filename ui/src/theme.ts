// Mantine's theme. tokens.css stays the one source of colour: the resolver below points Mantine's variables at it. The
// tuples serve only what Mantine computes from shades.
import type {
  Checkbox,
  CSSVariablesResolver,
  Input,
  Menu,
  Modal,
  Select,
  Switch,
  TextInput,
} from '@mantine/core';
import { createTheme, defaultVariantColorsResolver } from '@mantine/core';
import { t } from './texts';

/** Settings of a component, which is not loaded for them. */
type Of<Component extends { extend: (settings: never) => unknown }> = Parameters<
  Component['extend']
>[0];

// Control heights: 26 in toolbars (xs), 32 in pages (sm), 40 on touch (md and up).
const height = (size: unknown) =>
  size === 'xs' ? '26px' : size === undefined || size === 'sm' ? '32px' : '40px';
const font = (size: unknown) =>
  size === 'xs' ? '12px' : size === undefined || size === 'sm' ? '13px' : '14px';

export const theme = createTheme({
  primaryColor: 'ostler',
  primaryShade: { light: 6, dark: 4 },
  // Text on the accent is dark in the dark scheme; Mantine decides by the light shade alone.
  variantColorResolver: (input) => {
    const colors = defaultVariantColorsResolver(input);
    return input.variant === 'filled' && (input.color === undefined || input.color === 'ostler')
      ? { ...colors, color: 'var(--accent-on)' }
      : colors;
  },
  colors: {
    ostler: [
      '#e5f7fc',
      '#ceeff7',
      '#b0e3ef',
      '#66cfe6',
      '#50bdd4',
      '#1696ad',
      '#05697a',
      '#025867',
      '#004a56',
      '#01343e',
    ],
    gray: [
      '#f8fafc',
      '#f3f5f8',
      '#ebeff3',
      '#d4dae0',
      '#c1c8d0',
      '#848d98',
      '#58616d',
      '#3a434e',
      '#232c36',
      '#111820',
    ],
    dark: [
      '#dbe0e6',
      '#c1c8d0',
      '#a0aab6',
      '#626d7a',
      '#29313a',
      '#212830',
      '#151b21',
      '#0f141a',
      '#090d12',
      '#040609',
    ],
  },
  fontFamily: 'var(--font-ui)',
  fontFamilyMonospace: 'var(--font-mono)',
  fontSizes: { xs: '11px', sm: '12px', md: '13px', lg: '14px', xl: '16px' },
  lineHeights: { xs: '16px', sm: '16px', md: '18px', lg: '20px', xl: '24px' },
  spacing: { xs: '4px', sm: '8px', md: '12px', lg: '16px', xl: '24px' },
  radius: { xs: '3px', sm: '4px', md: '6px', lg: '6px', xl: '6px' },
  defaultRadius: 'md',
  shadows: {
    xs: 'var(--shadow-1)',
    sm: 'var(--shadow-1)',
    md: 'var(--shadow-2)',
    lg: 'var(--shadow-3)',
    xl: 'var(--shadow-3)',
  },
  breakpoints: { xs: '375px', sm: '721px', md: '1024px', lg: '1381px', xl: '1920px' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '16px', lineHeight: '24px' },
      h2: { fontSize: '13px', lineHeight: '18px' },
      h3: { fontSize: '14px', lineHeight: '20px' },
    },
  },
  focusRing: 'auto',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Input: {
      vars: (_theme, props) => ({
        wrapper: {
          '--input-height': height(props.size),
          '--input-fz': font(props.size),
          '--input-bd-focus': 'var(--focus)',
          ...(props.error ? {} : { '--input-bd': 'var(--border-control)' }),
        },
      }),
    } satisfies Of<typeof Input>, // inline, so it must give way to an error
    TextInput: { defaultProps: { size: 'sm' } } satisfies Of<typeof TextInput>,
    Select: { defaultProps: { size: 'sm', checkIconPosition: 'right' } } satisfies Of<
      typeof Select
    >,
    Checkbox: {
      defaultProps: { size: 'xs', radius: 'xs' },
      vars: () => ({
        root: { '--checkbox-icon-color': 'var(--accent-on)', '--checkbox-size': '15px' },
      }),
    } satisfies Of<typeof Checkbox>,
    Switch: { defaultProps: { size: 'xs' } } satisfies Of<typeof Switch>,
    Menu: {
      defaultProps: {
        shadow: 'md',
        withArrow: false,
        transitionProps: { duration: 90 },
        // It could be focused, and is no item: the first item is focused instead.
        withInitialFocusPlaceholder: false,
      },
    } satisfies Of<typeof Menu>,
    Modal: {
      defaultProps: {
        centered: true,
        closeButtonProps: { 'aria-label': t.closeDialog },
        transitionProps: { duration: 140, transition: 'fade' },
        overlayProps: { color: 'var(--scrim)', backgroundOpacity: 1 },
      },
    } satisfies Of<typeof Modal>,
  },
});

const shared = {
  '--mantine-color-body': 'var(--surface)',
  '--mantine-color-text': 'var(--text)',
  '--mantine-color-dimmed': 'var(--text-muted)',
  '--mantine-color-placeholder': 'var(--text-muted)',
  '--mantine-color-anchor': 'var(--accent-text)',
  '--mantine-color-default': 'var(--surface)',
  '--mantine-color-default-hover': 'var(--hover)',
  '--mantine-color-default-color': 'var(--text)',
  '--mantine-color-default-border': 'var(--border-strong)',
  '--mantine-color-disabled': 'var(--sunken)',
  '--mantine-color-disabled-color': 'var(--text-disabled)',
  '--mantine-color-disabled-border': 'var(--border)',
  '--mantine-color-error': 'var(--st-error-text)',
  // components take these of the colour, in dark a lighter hover than Mantine's shade + 1
  '--mantine-color-ostler-filled': 'var(--accent)',
  '--mantine-color-ostler-filled-hover': 'var(--accent-hover)',
  '--mantine-color-ostler-light': 'var(--accent-fill)',
  '--mantine-color-ostler-light-hover': 'var(--accent-fill2)',
  '--mantine-color-ostler-light-color': 'var(--accent-text)',
  '--mantine-color-ostler-outline': 'var(--accent-text)',
  '--mantine-color-ostler-text': 'var(--accent-text)',
  '--mantine-primary-color-filled': 'var(--accent)',
  '--mantine-primary-color-filled-hover': 'var(--accent-hover)',
  '--mantine-primary-color-light': 'var(--accent-fill)',
  '--mantine-primary-color-light-hover': 'var(--accent-fill2)',
  '--mantine-primary-color-light-color': 'var(--accent-text)',
  '--mantine-primary-color-contrast': 'var(--accent-on)',
};
export const resolver: CSSVariablesResolver = () => ({
  variables: {},
  light: shared,
  dark: shared,
});
