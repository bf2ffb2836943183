import { expect, it } from "vitest";
import { ago, bytes, count, many, span } from "./format";

it("tells sizes", () => {
	expect([0, 1, 1023, 1024, 1536, 10240, 1024 ** 2 - 1, 1024 ** 2, 5 * 1024 ** 3, 2 ** 60 * 3].map(bytes)).toEqual([
		"0 B",
		"1 B",
		"1023 B",
		"1.0 KiB",
		"1.5 KiB",
		"10 KiB",
		"1.0 MiB",
		"1.0 MiB",
		"5.0 GiB",
		"3.0 EiB",
	]);
});

it("tells spans", () => {
	expect([-1, 0, 0.44, 1, 89, 90, 5399, 5400, 129599, 129600, 86400 * 30].map(span)).toEqual([
		"0.0 s",
		"0.0 s",
		"0.4 s",
		"1 s",
		"89 s",
		"2 min",
		"90 min",
		"2 h",
		"36 h",
		"2 days",
		"30 days",
	]);
});

it("tells counts", () => {
	expect(count(1234567)).toBe("1,234,567");
	expect(many(1, "object")).toBe("1 object");
	expect(many(0, "object")).toBe("0 objects");
	expect(many(2, "copy", "copies")).toBe("2 copies");
});

it("tells how long ago", () => {
	const now = Date.parse("2026-03-04T05:06:07Z");
	expect(ago(null, now)).toBe("never");
	expect(ago("2026-03-04T05:06:06.500Z", now)).toBe("just now");
	expect(ago("2026-03-04T05:05:07Z", now)).toBe("60 s ago");
	expect(ago("2026-03-04T05:06:17Z", now)).toBe("just now"); // clocks differ
});
