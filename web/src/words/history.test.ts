import { expect, it } from "vitest";
import { byDay, deed, outcomes, resultTone } from "./history";

it("tells what backends answered", () => {
	expect(outcomes({})).toEqual([]);
	expect(outcomes({ b: "ok", a: "ok" })).toEqual([{ tone: "good", text: "ok on all 2" }]);
	expect(outcomes({ a: "ok" })).toEqual([{ tone: "good", text: "a ok" }]);
	expect(outcomes({ b: "no", a: "ok", c: "late" })).toEqual([
		{ tone: "good", text: "a ok" },
		{ tone: "warn", text: "b no" },
		{ tone: "busy", text: "c late" },
	]);
});

it("colours results", () => {
	expect(["acked", "healed", "done", "unknown", "failed", "refused"].map(resultTone)).toEqual([
		"good",
		"good",
		"good",
		"warn",
		"bad",
		"bad",
	]);
});

it("has words for what was done", () => {
	expect([deed("put"), deed("beginSession"), deed("listUsers")]).toEqual(["Written", "Signed in", "List users"]);
});

it("tells the days apart", () => {
	const events = ["2026-11-28T09:00:00Z", "2026-11-28T08:00:00Z", "2026-11-27T23:00:00Z"].map((time) => ({ time }));
	const days = byDay(events, (iso) => iso.slice(0, 10));
	expect(days.map(([day, of]) => [day, of.length])).toEqual([
		["2026-11-28", 2],
		["2026-11-27", 1],
	]);
});
