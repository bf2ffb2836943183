import { expect, it } from "vitest";
import { byteStops, paceMeans, paceOf, promise, requestStops, stopOf } from "./replication";

it("says what a mode means", () => {
	expect(promise("active")).toContain("all replicas");
	expect(promise("disabled", "eu-1")).toMatch(/^eu-1 alone/);
});

it("says what heals may take", () => {
	expect(paceOf({ bytes_per_second: 0, requests_per_second: 0 })).toBe("no limit");
	expect(paceOf({ bytes_per_second: 1 << 20, requests_per_second: 2.5 })).toBe("1.0 MiB/s, 2.5 requests/s");
});

it("says how long it takes at least", () => {
	const slow = { bytes_per_second: 1 << 20, requests_per_second: 0 };
	expect(paceMeans({ bytes_per_second: 0, requests_per_second: 0 }, { keys: 9, bytes: 9 })).toContain("clients leave");
	expect(paceMeans(slow, { keys: 0, bytes: 0 })).toContain("at most 1.0 MiB/s");
	expect(paceMeans(slow, { keys: 2, bytes: 600 << 20 })).toContain("takes 10 min or more");
	expect(paceMeans({ ...slow, requests_per_second: 1 }, { keys: 7200, bytes: 1 })).toContain("takes 2 h or more");
});

it("finds the stop of a limit", () => {
	for (const stops of [byteStops, requestStops]) {
		stops.forEach((limit, i) => {
			expect(stopOf(stops, limit)).toBe(i);
		});
	}
	expect(requestStops[stopOf(requestStops, 60)]).toBe(50);
	expect(requestStops[stopOf(requestStops, 1e9)]).toBe(1000);
});
