import { expect, test } from "vitest";
import { several } from "./several";

test("each is acted on once, a few at a time, whatever fails", async () => {
	let going = 0;
	let most = 0;
	const acted: number[] = [];
	const told: number[] = [];
	const items = Array.from({ length: 20 }, (_, i) => i);
	const failed = await several(
		items,
		async (i) => {
			most = Math.max(most, ++going);
			await Promise.resolve();
			going--;
			acted.push(i);
			if (i % 7 === 0) {
				throw new Error(`no ${i}`);
			}
		},
		(n) => told.push(n),
	);
	expect(acted.sort((a, b) => a - b)).toEqual(items);
	expect(told).toEqual(items.map((i) => i + 1));
	expect(failed.map((f) => [f.item, f.error.message]).sort()).toEqual([
		[0, "no 0"],
		[14, "no 14"],
		[7, "no 7"],
	]);
	expect(most).toBe(4);
});

test("what is no error is told as one", async () => {
	const [failure] = await several(
		["a"],
		() => Promise.reject("refused"),
		() => undefined,
	);
	expect(failure?.error.message).toBe("refused");
});
