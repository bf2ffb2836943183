// Long work, as one says it: what a job is, how far it has come, what a new one would do.
import type { Job, JobFinding, JobKind, JobState } from "../api/gen/types.gen";
import { bytes, count, many, span } from "./format";
import { isOver } from "./joblist";
import { listed } from "./safety";
import type { Tone } from "./tone";

export const kindNames: Record<JobKind, string> = {
	scrub: "Scrub",
	resync: "Resync",
	heal: "Heal",
	adopt: "Adoption",
	drain: "Drain",
};

type Subject = Pick<Job, "kind" | "bucket" | "backend" | "deep">;

/** "Deep scrub of photos", "Resync of eu-2", "Heal of everything". */
export function jobTitle(job: Subject): string {
	const name = job.kind === "scrub" && job.deep ? "Deep scrub" : kindNames[job.kind];
	const of = [job.bucket, job.backend && `${job.bucket ? "on " : ""}${job.backend}`].filter(Boolean).join(" ");
	return `${name} of ${of || "everything"}`;
}

export const jobTone: Record<JobState, Tone> = {
	waiting: "idle",
	running: "busy",
	done: "good",
	failed: "bad",
	cancelled: "idle",
};

/** What a job's state is called; one that somebody ends is not over yet. */
export const stateOf = (job: Pick<Job, "state" | "cancelling">): string =>
	job.cancelling && !isOver(job) ? "ending" : job.state;

const compares = (kind: JobKind) => kind === "scrub" || kind === "resync" || kind === "adopt";

/** "1,204 keys looked at, 3 differed, 2 healed, 1 undecided": what a job has come to. */
export function figures(job: Job): string {
	if (job.keys === 0 && job.state !== "done") {
		return isOver(job) ? "Nothing was looked at" : "Nothing looked at yet";
	}
	const parts = [`${many(job.keys, "key")} looked at`];
	if (job.bytes > 0) {
		parts.push(`${bytes(job.bytes)} read`);
	}
	if (compares(job.kind)) {
		parts.push(
			job.differences === 0
				? "nothing differs"
				: `${count(job.differences)} ${job.differences === 1 ? "difference" : "differences"}`,
		);
	}
	if (job.healed > 0) {
		parts.push(`${count(job.healed)} healed`);
	}
	if (job.undecided > 0) {
		parts.push(`${count(job.undecided)} undecided`);
	}
	if (!isOver(job) && job.left) {
		parts.push(`${count(job.left)} left`);
	}
	return parts.join(", ");
}

/** The part that is done, 0 to 1; undefined while nobody knows how much there is. */
export function part(job: Job): number | undefined {
	if (job.state === "done") {
		return 1;
	}
	const whole = job.healed + (job.left ?? 0);
	return job.left && job.healed > 0 ? job.healed / whole : undefined;
}

const phases: Record<string, string> = {
	open: "opening the bucket",
	compare: "comparing",
	copy: "copying",
	heal: "healing",
	check: "making sure that nothing rests on it alone",
};

/** "comparing, at photos/2026/a.jpg, 410 keys a second": where a job that runs is. */
export function whereabouts(job: Job): string {
	if (job.state === "waiting") {
		return job.started ? "waits for a node to go on with it" : "waits for a node";
	}
	const parts = [job.phase ? (phases[job.phase] ?? job.phase) : "beginning"];
	if (job.at_bucket) {
		parts.push(`at ${job.at_bucket}${job.at_key ? `/${job.at_key}` : ""}`);
	}
	const seconds = job.started ? (Date.parse(job.updated) - Date.parse(job.started)) / 1000 : 0;
	if (seconds >= 1 && job.keys > 0) {
		const speed = job.keys / seconds;
		parts.push(`${speed < 10 ? speed.toFixed(1) : count(Math.round(speed))} keys a second`);
	}
	return parts.join(", ");
}

/** How long a job has taken, from its beginning to its end, or until now. */
export function took(job: Job, now = Date.now()): string {
	return job.started ? span(((job.ended ? Date.parse(job.ended) : now) - Date.parse(job.started)) / 1000) : "–";
}

/** Backends that lacked keys: "eu-2 lacked 3 keys". */
export function missing(job: Job): string {
	const all = Object.entries(job.missing ?? {}).sort(([a], [b]) => a.localeCompare(b));
	return listed(all.map(([name, n]) => `${name} lacked ${many(n, "key")}`));
}

export const foundWords: Record<JobFinding["what"], string> = {
	missing: "is not there",
	extra: "should not be there",
	size: "has another size",
	etag: "is another object",
	identity: "is another write's",
	tags: "has other tags",
	bytes: "has other bytes",
	undecided: "nobody knows which is right",
};

export const doneWords: Record<JobFinding["done"], { tone: Tone; text: string }> = {
	healed: { tone: "good", text: "healed" },
	due: { tone: "busy", text: "left to the healer" },
	nothing: { tone: "warn", text: "nothing yet" },
};

/** What is there and what should be, where that is known. */
export function isAndShould(f: Pick<JobFinding, "seen" | "want">): string {
	const parts = [f.seen && `Is ${f.seen}`, f.want && `should be ${f.want}`].filter(Boolean).join("; ");
	return parts && parts.charAt(0).toUpperCase() + parts.slice(1);
}

/** A new job as a form has it: every field, empty for none. */
export type Draft = { kind: JobKind; bucket: string; backend: string; deep: boolean; source: string; loss: number };

export const noDraft: Draft = { kind: "scrub", bucket: "", backend: "", deep: false, source: "", loss: 0 };

/** What a kind of job may be told. */
export const takes: Record<JobKind, { bucket: boolean; backend: "must" | "may" | "no"; loss: boolean }> = {
	scrub: { bucket: true, backend: "no", loss: true },
	resync: { bucket: true, backend: "must", loss: true },
	heal: { bucket: true, backend: "may", loss: false },
	adopt: { bucket: true, backend: "no", loss: false },
	drain: { bucket: false, backend: "must", loss: false },
};

/** The request that a form comes to: nothing that its kind does not take. */
export function wanted(d: Draft) {
	const may = takes[d.kind];
	return {
		kind: d.kind,
		bucket: (may.bucket && d.bucket.trim()) || undefined,
		backend: (may.backend !== "no" && d.backend) || undefined,
		deep: (d.kind === "scrub" && d.deep) || undefined,
		source: (d.kind === "adopt" && d.source) || undefined,
		max_loss: (may.loss && d.loss) || undefined,
	};
}

/** What a form lacks; undefined when it is whole. */
export function lacks(d: Draft): string | undefined {
	if (takes[d.kind].backend === "must" && !d.backend) {
		return "Choose a backend";
	}
	return d.kind === "adopt" && d.bucket.trim() === "" ? "Name a bucket" : undefined;
}

/** What a job will do, before it does. */
export function intention(d: Draft): string {
	const where = d.bucket.trim() ? `bucket ${d.bucket.trim()}` : "every bucket";
	const backend = d.backend || "the backend";
	switch (d.kind) {
		case "scrub":
			return `The replicas of ${where} are compared: ${d.deep ? "every byte of every object, which reads all of it" : "names, sizes and ETags"}. What differs is listed here, and healed from the replicas that are right.`;
		case "resync":
			return `The replica of ${where} on ${backend} is made like the others, which alone count: what it lacks is copied to it, what it alone holds is deleted there. It serves no reads until it was compared to the end.`;
		case "heal":
			return `What ${d.backend || "some backend"} misses of ${where} is visited now, instead of when its turn comes.`;
		case "adopt":
			return `A bucket that stands on the backends with objects in it is put under management. Clients may use it at once; where two backends differ, what ${d.source || "the source"} has stands.`;
		case "drain":
			return `What rests on ${backend} alone is copied to other backends first; then it is paused, until somebody resumes it.`;
	}
}

/** Whether something is taken away, or out of use: it is asked for in red. */
export const isGrave = (kind: JobKind): boolean => kind === "resync" || kind === "drain";
