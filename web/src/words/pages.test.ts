import { expect, it } from "vitest";
import { goesOn, type ListPage, read, rowsOf, unread, wanted } from "./pages";

it("grows page by page, to its end", () => {
	let list: readonly ListPage[] = unread;
	expect([rowsOf(list), goesOn(list)]).toEqual([0, true]);
	expect(wanted(list, 0, 0, 500)).toEqual([{ page: 0, row: 0 }]);
	list = read(list, 0, 1000, "b");
	list = read(list, 1, 1000, "c");
	expect([rowsOf(list), goesOn(list)]).toEqual([2000, true]);
	list = read(list, 2, 7, undefined);
	expect([rowsOf(list), goesOn(list)]).toEqual([2007, false]);
});

it("wants what is seen, and what comes next only when it is near", () => {
	const list = [
		{ start: undefined, count: 1000 },
		{ start: "b", count: 1000 },
		{ start: "c", count: undefined },
	];
	expect(wanted(list, 0, 40, 500).map((w) => w.page)).toEqual([0]);
	expect(wanted(list, 990, 1030, 500)).toEqual([
		{ page: 0, row: 0 },
		{ page: 1, row: 1000 },
	]);
	expect(wanted(list, 1500, 1540, 500).map((w) => w.page)).toEqual([1, 2]);
});

it("looks again at an empty list", () => {
	expect(wanted([{ start: undefined, count: 0 }], 0, 0, 500)).toEqual([{ page: 0, row: 0 }]);
});

it("stays the same list when nothing has changed", () => {
	const list = [
		{ start: undefined, count: 3 },
		{ start: "b", count: 2 },
	];
	expect(read(list, 0, 3, "b")).toBe(list);
	expect(read(list, 1, 2, undefined)).toBe(list);
});

it("goes where a page now ends", () => {
	const list = [
		{ start: undefined, count: 3 },
		{ start: "b", count: 2 },
		{ start: "d", count: 1 },
	];
	expect(read(list, 0, 3, "c")).toEqual([list[0], { start: "c", count: 2 }, list[2]]);
	expect(read(list, 1, 1, undefined)).toEqual([list[0], { start: "b", count: 1 }]);
});
