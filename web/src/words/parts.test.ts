import { expect, it } from "vitest";
import { partSize, pieces, wholeUpTo } from "./parts";

const mebi = 1 << 20;

it("cuts a file without a gap", () => {
	for (const size of [1, 16 * mebi, 16 * mebi + 1, 200_000_000, wholeUpTo + 1]) {
		const all = pieces(size);
		expect(all.map((p) => p.number)).toEqual(all.map((_, i) => i + 1));
		expect(all.every((p, i) => p.from === (all[i - 1]?.to ?? 0) && p.to > p.from)).toBe(true);
		expect(all.at(-1)?.to).toBe(size);
	}
});

it("keeps to what S3 allows: 10,000 parts of 5 MiB or more", () => {
	expect(partSize(1)).toBe(16 * mebi);
	const large = 5 * 1024 ** 4; // the largest object there is
	expect(Math.ceil(large / partSize(large))).toBeLessThan(10_000);
	expect(partSize(large) % mebi).toBe(0);
});
