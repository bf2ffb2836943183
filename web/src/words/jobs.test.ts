import { expect, test } from "vitest";
import type { Job } from "../api/gen/types.gen";
import { withJob } from "./joblist";
import {
	figures,
	intention,
	isAndShould,
	jobTitle,
	lacks,
	missing,
	noDraft,
	part,
	stateOf,
	took,
	wanted,
	whereabouts,
} from "./jobs";

const job: Job = {
	id: "1",
	kind: "scrub",
	state: "running",
	by: "root",
	created: "2026-11-28T10:00:00Z",
	started: "2026-11-28T10:00:01Z",
	updated: "2026-11-28T10:00:05Z",
	keys: 1204,
	bytes: 0,
	differences: 0,
	healed: 0,
	undecided: 0,
	findings: [],
};

test("a job that came forward takes its own place, a new one the first", () => {
	const other = { ...job, id: "0" };
	expect(withJob([job, other], { ...other, keys: 7 }).map((j) => j.keys)).toEqual([1204, 7]);
	expect(withJob([other], job).map((j) => j.id)).toEqual(["1", "0"]);
	expect(withJob([], job)).toEqual([job]);
});

test("a job is called by what it is of", () => {
	expect(jobTitle({ kind: "scrub", deep: true, bucket: "photos" })).toBe("Deep scrub of photos");
	expect(jobTitle({ kind: "resync", bucket: "photos", backend: "eu-2" })).toBe("Resync of photos on eu-2");
	expect(jobTitle({ kind: "drain", backend: "eu-2" })).toBe("Drain of eu-2");
	expect(jobTitle({ kind: "heal" })).toBe("Heal of everything");
});

test("its figures say what it has come to", () => {
	expect(figures(job)).toBe("1,204 keys looked at, nothing differs");
	expect(figures({ ...job, bytes: 2048, differences: 3, healed: 2, undecided: 1, left: 4 })).toBe(
		"1,204 keys looked at, 2.0 KiB read, 3 differences, 2 healed, 1 undecided, 4 left",
	);
	expect(figures({ ...job, kind: "heal", keys: 1, state: "done", left: 4 })).toBe("1 key looked at");
	expect(figures({ ...job, keys: 0 })).toBe("Nothing looked at yet");
	expect(figures({ ...job, keys: 0, state: "cancelled" })).toBe("Nothing was looked at");
	expect(figures({ ...job, keys: 0, state: "done" })).toBe("0 keys looked at, nothing differs");
	expect(missing({ ...job, missing: { "ru-1": 1, "eu-2": 3 } })).toBe("eu-2 lacked 3 keys and ru-1 lacked 1 key");
	expect(missing(job)).toBe("");
});

test("how far it is is told only where it is known", () => {
	expect(part(job)).toBeUndefined();
	expect(part({ ...job, healed: 30, left: 10 })).toBe(0.75);
	expect(part({ ...job, state: "done" })).toBe(1);
	expect(part({ ...job, state: "failed", healed: 3 })).toBeUndefined();
});

test("where it is, and for how long", () => {
	expect(whereabouts({ ...job, phase: "compare", at_bucket: "photos", at_key: "a/b" })).toBe(
		"comparing, at photos/a/b, 301 keys a second",
	);
	expect(whereabouts({ ...job, keys: 12, phase: "new-word" })).toBe("new-word, 3.0 keys a second");
	expect(whereabouts({ ...job, state: "waiting", started: undefined })).toBe("waits for a node");
	expect(whereabouts({ ...job, state: "waiting" })).toBe("waits for a node to go on with it");
	expect(took(job, Date.parse("2026-11-28T10:00:31Z"))).toBe("30 s");
	expect(took({ ...job, ended: "2026-11-28T10:02:01Z" }, 0)).toBe("2 min");
	expect(took({ ...job, started: undefined })).toBe("–");
});

test("one that somebody ends is not over yet", () => {
	expect(stateOf({ state: "running", cancelling: true })).toBe("ending");
	expect(stateOf({ state: "cancelled", cancelling: true })).toBe("cancelled");
	expect(stateOf({ state: "running" })).toBe("running");
});

test("a finding says what is and what should be", () => {
	expect(isAndShould({ seen: "nothing", want: "5 bytes" })).toBe("Is nothing; should be 5 bytes");
	expect(isAndShould({ want: "5 bytes" })).toBe("Should be 5 bytes");
	expect(isAndShould({})).toBe("");
});

test("a form asks for nothing that its kind does not take", () => {
	const all = { ...noDraft, bucket: " photos ", backend: "eu-2", deep: true, source: "eu-1", loss: 100 };
	expect(wanted({ ...all, kind: "scrub" })).toEqual({ kind: "scrub", bucket: "photos", deep: true, max_loss: 100 });
	expect(wanted({ ...all, kind: "resync" })).toEqual({
		kind: "resync",
		bucket: "photos",
		backend: "eu-2",
		max_loss: 100,
	});
	expect(wanted({ ...all, kind: "heal" })).toEqual({ kind: "heal", bucket: "photos", backend: "eu-2" });
	expect(wanted({ ...all, kind: "adopt" })).toEqual({ kind: "adopt", bucket: "photos", source: "eu-1" });
	expect(wanted({ ...all, kind: "drain" })).toEqual({ kind: "drain", backend: "eu-2" });
	expect(wanted(noDraft)).toEqual({ kind: "scrub" });
});

test("a form says what it lacks, and what will happen", () => {
	expect(lacks(noDraft)).toBeUndefined();
	expect(lacks({ ...noDraft, kind: "resync" })).toBe("Choose a backend");
	expect(lacks({ ...noDraft, kind: "drain", backend: "eu-2" })).toBeUndefined();
	expect(lacks({ ...noDraft, kind: "adopt", bucket: " " })).toBe("Name a bucket");
	expect(intention({ ...noDraft, kind: "scrub", deep: true, bucket: "photos" })).toContain(
		"bucket photos are compared: every byte",
	);
	expect(intention({ ...noDraft, kind: "resync", backend: "eu-2" })).toContain("what it alone holds is deleted there");
	expect(intention({ ...noDraft, kind: "heal" })).toContain("some backend misses of every bucket");
	expect(intention({ ...noDraft, kind: "adopt", source: "eu-1" })).toContain("what eu-1 has stands");
	expect(intention({ ...noDraft, kind: "drain" })).toContain("then it is paused");
});
