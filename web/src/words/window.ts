// Which rows of a long list are drawn. Browsers draw no element higher than some 17 to 33
// million pixels: a list that would be is scrolled through faster than it is high.

const highest = 12_000_000; // px
const spare = 12; // rows above and below what is seen

export type Window = {
	height: number; // px of what is scrolled
	first: number;
	last: number; // exclusive
	/** px from the top of what is scrolled to a row. */
	top: (row: number) => number;
};

export function windowOf(rows: number, rowHeight: number, scrolled: number, view: number): Window {
	const whole = rows * rowHeight;
	const height = Math.min(whole, highest);
	const way = height - view; // how far it can be scrolled
	const at = way > 0 ? Math.min(1, Math.max(0, scrolled / way)) * (whole - view) : 0;
	const from = way > 0 ? Math.min(way, Math.max(0, scrolled)) : 0;
	return {
		height,
		first: Math.max(0, Math.floor(at / rowHeight) - spare),
		last: Math.min(rows, Math.ceil((at + view) / rowHeight) + spare),
		top: (row) => from + row * rowHeight - at,
	};
}
