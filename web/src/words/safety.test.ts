import { describe, expect, it } from "vitest";
import type { BackendStatus, Status } from "../api/gen/types.gen";
import { alarms, listed, verdict } from "./safety";

const backend = (name: string, more: Partial<BackendStatus> = {}): BackendStatus => ({
	name,
	state: "up",
	lagging_keys: 0,
	lagging_bytes: 0,
	oldest_seconds: 0,
	last_success: null,
	...more,
});

const status = (backends: BackendStatus[], more: Partial<Status> = {}): Status => ({
	version: "v1",
	node: "n1",
	converged: true,
	lagging: { keys: 0, bytes: 0, oldest_seconds: 0 },
	unsettled: { keys: 0 },
	in_flight: { keys: 0 },
	refused: { keys: 0 },
	backends,
	...more,
});

const three = [backend("eu-1"), backend("eu-2"), backend("ru-1")];
const [eu1, eu2, ru1] = three as [BackendStatus, BackendStatus, BackendStatus];

describe("the verdict", () => {
	const cases: [string, Status, string, string][] = [
		["all equal", status(three), "good", "Everything is safe"],
		["one backend", status([eu1]), "warn", "Everything is on one backend only"],
		["one down", status([eu1, { ...eu2, state: "down" }, ru1]), "warn", "eu-2 is down"],
		["one left", status([eu1, { ...eu2, state: "down" }]), "bad", "eu-2 is down"],
		[
			"one down, one paused",
			status([eu1, backend("x"), { ...eu2, state: "down" }, { ...ru1, state: "paused" }]),
			"warn",
			"eu-2 is down, ru-1 is paused",
		],
		["none left", status(three.map((b) => ({ ...b, state: "down" }))), "bad", "No backend can be reached"],
		["no backends at all", status([]), "bad", "No backend can be reached"],
		["refused", status(three, { refused: { keys: 1 } }), "warn", "1 object cannot be held by every backend"],
		["degraded", status([{ ...eu1, state: "degraded" }, eu2]), "warn", "eu-1 is in difficulty"],
		[
			"lagging",
			status([eu1, { ...eu2, lagging_keys: 3 }], {
				converged: false,
				lagging: { keys: 3, bytes: 2048, oldest_seconds: 7 },
			}),
			"busy",
			"eu-2 is catching up",
		],
		[
			"unsettled",
			status(three, { converged: false, unsettled: { keys: 2 } }),
			"busy",
			"Everything is safe, and settling",
		],
	];
	it.each(cases)("%s", (_, s, tone, title) => {
		expect(verdict(s)).toMatchObject({ tone, title });
	});

	it("tells where replication is disabled", () => {
		const on = { mode: "active", buckets: [] } as const;
		expect(verdict(status(three), { ...on, buckets: [] }).tone).toBe("good");
		expect(verdict(status(three), { mode: "disabled", primary: "eu-1", buckets: [] })).toMatchObject({
			tone: "warn",
			title: "Replication is disabled",
		});
		const one = { ...on, buckets: [{ bucket: "photos", mode: "disabled" as const, primary: "eu-1" }] };
		expect(verdict(status(three), one).title).toBe("Replication is disabled for photos");
		expect(alarms(status(three), one).map((a) => a.id)).toEqual(["disabled"]);
	});

	it("is good only when nothing whatever is wrong", () => {
		const good = cases.filter(([, s]) => verdict(s).tone === "good");
		expect(good.map(([name]) => name)).toEqual(["all equal"]);
	});

	it("says what is at stake", () => {
		expect(verdict(status([eu1, { ...eu2, state: "down" }])).detail).toContain("Only eu-1 is left");
		expect(verdict(status([eu1, { ...eu2, state: "down" }, ru1])).detail).toContain("eu-1 and ru-1 serve everything");
	});
});

describe("alarms", () => {
	it("are none when all is well", () => {
		expect(alarms(status(three))).toEqual([]);
	});

	it("come worst first, with what to do", () => {
		const found = alarms(
			status(
				[
					{ ...eu1, state: "paused" },
					{ ...eu2, state: "degraded", oldest_seconds: 3600, lagging_keys: 1 },
					{ ...ru1, state: "down", reason: "403 AccessDenied", oldest_seconds: 9999 },
				],
				{ refused: { keys: 2 } },
			),
		);
		expect(found.map((a) => a.id)).toEqual(["down ru-1", "degraded eu-2", "lag eu-2", "refused", "paused eu-1"]);
		expect(found.every((a) => a.todo && a.detail && a.title)).toBe(true);
		expect(found[0]?.detail).toBe("403 AccessDenied");
	});
});

it("lists names", () => {
	expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(listed)).toEqual(["", "a", "a and b", "a, b and c"]);
});
