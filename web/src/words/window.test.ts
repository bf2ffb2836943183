import { expect, it } from "vitest";
import { windowOf } from "./window";

const h = 46;
const view = 600;

it("draws all of a short list", () => {
	const w = windowOf(5, h, 0, view);
	expect([w.height, w.first, w.last, w.top(0), w.top(4)]).toEqual([5 * h, 0, 5, 0, 4 * h]);
});

it("draws what is seen of a long one, where it is", () => {
	const w = windowOf(1000, h, 10_000, view);
	expect(w.height).toBe(1000 * h);
	expect(w.first).toBe(Math.floor(10_000 / h) - 12);
	expect(w.last).toBe(Math.ceil(10_600 / h) + 12);
	expect(w.top(300)).toBe(300 * h);
});

it("reaches every row of a million, with few of them drawn", () => {
	const rows = 1_000_000;
	const way = windowOf(rows, h, 0, view).height - view;
	expect(way).toBeLessThan(12_000_000);
	let before = -1;
	for (let scrolled = 0; scrolled <= way; scrolled += way / 997) {
		const w = windowOf(rows, h, scrolled, view);
		expect(w.last - w.first).toBeLessThan(45);
		expect(w.first).toBeGreaterThanOrEqual(before);
		// What is seen is covered by rows.
		expect(w.top(w.first)).toBeLessThanOrEqual(scrolled);
		expect(w.top(w.last - 1) + h).toBeGreaterThanOrEqual(scrolled + view - 0.01);
		before = w.first;
	}
	const end = windowOf(rows, h, way, view);
	expect(end.last).toBe(rows);
	expect(end.top(rows - 1) + h).toBeCloseTo(end.height, 3);
	expect(windowOf(rows, h, -50, view).first).toBe(0);
});
