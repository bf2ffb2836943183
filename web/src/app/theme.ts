import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

// One accent, a deep teal, and a cool grey. Green, amber and red are kept for what they mean.
const tide: MantineColorsTuple = [
	"#ecfdf9",
	"#d0f7ee",
	"#a3ecde",
	"#6bdac9",
	"#38c0af",
	"#1ca394",
	"#128378",
	"#0f6b63",
	"#10554f",
	"#0c3f3b",
];

const slate: MantineColorsTuple = [
	"#e6eaf0",
	"#c3cad6",
	"#a7b0bf",
	"#828d9f",
	"#5c6779",
	"#3b4556",
	"#2a3341",
	"#1b222d",
	"#131923",
	"#0d1219",
];

export const theme = createTheme({
	primaryColor: "tide",
	primaryShade: { light: 7, dark: 6 },
	autoContrast: true,
	colors: { tide, dark: slate },
	fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
	fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, monospace',
	headings: {
		fontWeight: "620",
		sizes: { h1: { fontSize: "1.5rem", lineHeight: "1.3" }, h2: { fontSize: "1.05rem", lineHeight: "1.4" } },
	},
	defaultRadius: "md",
	cursorType: "pointer",
	respectReducedMotion: true,
	components: {
		Modal: { defaultProps: { overlayProps: { backgroundOpacity: 0.4 }, radius: 12 } },
		Drawer: { defaultProps: { overlayProps: { backgroundOpacity: 0.4 } } },
	},
});

// Contrast as WCAG 2.2 AA wants it: the defaults for secondary text fall short.
export const variables: CSSVariablesResolver = () => ({
	variables: {},
	light: {
		"--mantine-color-body": "#ffffff",
		"--mantine-color-dimmed": "#566173",
		"--mantine-color-placeholder": "#6b7585",
		"--mantine-color-error": "#c02626",
		"--s3m-here": "#0c5a53",
		"--s3m-here-soft": "#e2f3ef",
		"--s3m-canvas": "#f5f7f9",
		"--s3m-line": "#e1e6ec",
		"--s3m-good": "#13795b",
		"--s3m-good-soft": "#e3f5ee",
		"--s3m-busy": "#1d5fb8",
		"--s3m-busy-soft": "#e6effb",
		"--s3m-warn": "#8f5300",
		"--s3m-warn-soft": "#fdf1dc",
		"--s3m-bad": "#b3261e",
		"--s3m-bad-soft": "#fdeaea",
		"--s3m-idle": "#566173",
		"--s3m-idle-soft": "#edf0f4",
	},
	dark: {
		"--mantine-color-body": "#171e28",
		"--mantine-color-dimmed": "#a3adbd",
		"--mantine-color-placeholder": "#8f9aab",
		"--mantine-color-error": "#ff8d85",
		"--s3m-here": "#7fe0d2",
		"--s3m-here-soft": "#17342f",
		"--s3m-canvas": "#0f151d",
		"--s3m-line": "#2a3341",
		"--s3m-good": "#5fd3a6",
		"--s3m-good-soft": "#12332a",
		"--s3m-busy": "#7db4ff",
		"--s3m-busy-soft": "#15294a",
		"--s3m-warn": "#f3bd5b",
		"--s3m-warn-soft": "#3a2a0d",
		"--s3m-bad": "#ff9a92",
		"--s3m-bad-soft": "#451c1b",
		"--s3m-idle": "#a3adbd",
		"--s3m-idle-soft": "#232c39",
	},
});
