// Line icons on a grid of 24, drawn for this console.
const paths = {
	overview: "M4 13a8 8 0 0 1 16 0M12 13l4-4M4.5 17.5h15",
	objects: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
	replication: "M7 7h10l-3-3M17 17H7l3 3M17 7v4M7 17v-4",
	history: "M12 7v5l3 2M4.5 12a7.5 7.5 0 1 0 2.5-5.6L4.5 8.5M4.5 4v4.5H9",
	users:
		"M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c.4-3.4 2.8-5.5 6-5.5s5.6 2.1 6 5.5M16 4.3a3.5 3.5 0 0 1 0 6.4M17.5 14.8c2 .7 3.2 2.5 3.5 5.2",
	account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM5 20c.5-3.6 3.3-5.5 7-5.5s6.5 1.9 7 5.5",
	key: "M14.5 9.5a5 5 0 1 0-4 4.9L12 13h2v-2h2V9.5zM8 9.2h.01M14 9l6 6v3h-3l-5-5",
	good: "M5 12.5l4.5 4.5L19 7.5",
	busy: "M19 12a7 7 0 0 1-12.3 4.6M5 12a7 7 0 0 1 12.3-4.6M17.5 3.5v4h-4M6.5 20.5v-4h4",
	warn: "M12 9v4.5M12 17h.01M10.3 4.6L2.9 17.4A2 2 0 0 0 4.6 20.4h14.8a2 2 0 0 0 1.7-3L13.7 4.6a2 2 0 0 0-3.4 0z",
	bad: "M12 8v4.5M12 16h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
	idle: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM10 9.5v5M14 9.5v5",
	sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M18.4 5.6l-1.1 1.1M6.7 17.3l-1.1 1.1",
	moon: "M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z",
	system: "M4 5h16v11H4zM9 20h6M12 16v4",
	out: "M14 8V5.5A1.5 1.5 0 0 0 12.5 4h-6A1.5 1.5 0 0 0 5 5.5v13A1.5 1.5 0 0 0 6.5 20h6a1.5 1.5 0 0 0 1.5-1.5V16M10 12h10M17 9l3 3-3 3",
	plus: "M12 5v14M5 12h14",
	trash: "M5 7h14M10 11v6M14 11v6M6.5 7l.8 11.6A1.5 1.5 0 0 0 8.8 20h6.4a1.5 1.5 0 0 0 1.5-1.4L17.5 7M9 7V4.5h6V7",
	close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
	upload: "M12 16V5M7.5 9L12 4.5 16.5 9M5 19.5h14",
	download: "M12 4.5v11M7.5 11.5L12 16l4.5-4.5M5 19.5h14",
	copy: "M9 9h10v10H9zM15 9V5H5v10h4",
	search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20",
	right: "M9.5 6l6 6-6 6",
	folder: "M4 18.5v-13h5.5l2 2.5H20v10.5z",
	file: "M6 3.5h8l4 4v13H6zM14 3.5v4h4",
	link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
	pause: "M9 6v12M15 6v12",
	play: "M8 5.5v13l10-6.5z",
} as const;

export type IconName = keyof typeof paths;

/** An icon beside words: it says nothing of its own. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
	return (
		<svg
			width={size}
			height={size}
			viewBox="0 0 24 24"
			fill="none"
			stroke="currentColor"
			strokeWidth={1.7}
			strokeLinecap="round"
			strokeLinejoin="round"
			aria-hidden="true"
			className="icon"
		>
			<path d={paths[name]} />
		</svg>
	);
}

export function Mark({ size = 28 }: { size?: number }) {
	return (
		<svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" className="icon">
			<rect width="32" height="32" rx="8" fill="#0f766e" />
			<g fill="none" stroke="#fff" strokeWidth="2.4">
				<ellipse cx="16" cy="10" rx="8" ry="3.2" />
				<path d="M8 10v5c0 1.8 3.6 3.2 8 3.2s8-1.4 8-3.2v-5" />
				<path d="M8 16.5v5c0 1.8 3.6 3.2 8 3.2s8-1.4 8-3.2v-5" opacity=".55" />
			</g>
		</svg>
	);
}
