import { expect, it } from "vitest";
import { outcomes, resultTone } from "./history";

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
