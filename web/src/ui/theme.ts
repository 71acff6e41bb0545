import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";
import { strings } from "../strings";

const indigo: MantineColorsTuple = [
  "#eef0ff",
  "#dfe3fd",
  "#bfc6f8",
  "#9ca6f2",
  "#808cec",
  "#6672e2",
  "#535fd9",
  "#444fc4",
  "#3a43aa",
  "#2b3282",
];

const dark: MantineColorsTuple = [
  "#e7e9ee",
  "#c3c9d4",
  "#a3abb9",
  "#6f7888",
  "#3a414e",
  "#2c323d",
  "#1b1f27",
  "#15181e",
  "#0e1014",
  "#0a0b0e",
];

/** One accent. The filled shade is darker than Mantine's default, so white text on it passes AA. */
export const theme = createTheme({
  primaryColor: "indigo",
  primaryShade: { light: 7, dark: 7 },
  colors: { indigo, dark },
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SFMono-Regular", "Cascadia Mono", Menlo, Consolas, monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  defaultRadius: "sm",
  radius: { sm: "6px", md: "8px" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "xs" } },
    Textarea: { defaultProps: { size: "xs" } },
    NativeSelect: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "sm" } },
    Modal: {
      defaultProps: { centered: true, size: "md", closeButtonProps: { "aria-label": strings.nav.close } },
    },
  },
});

/** Mantine's own variables, pointed at our tokens, so both kinds of components share one palette. */
export const cssVariables: CSSVariablesResolver = () => {
  const shared = {
    "--mantine-color-body": "var(--surface)",
    "--mantine-color-text": "var(--text)",
    "--mantine-color-dimmed": "var(--muted)",
    "--mantine-color-default": "var(--surface)",
    "--mantine-color-default-hover": "var(--hover)",
    "--mantine-color-default-color": "var(--text)",
    "--mantine-color-default-border": "var(--border-strong)",
    "--mantine-color-placeholder": "var(--subtle)",
    "--mantine-color-anchor": "var(--accent)",
    "--mantine-color-error": "var(--critical)",
  };
  return { variables: {}, light: shared, dark: shared };
};
