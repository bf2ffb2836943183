import type { Tone } from "./tone";

/** What was done, as one says it. */
const deeds: Record<string, string> = {
	put: "Written",
	copy: "Copied",
	complete: "Written in parts",
	delete: "Deleted",
	heal: "Healed",
	"left-behind": "Backend left behind",
	"bucket-create": "Bucket made",
	"bucket-delete": "Bucket deleted",
	login: "Token given",
	beginSession: "Signed in",
	endSession: "Signed out",
	createUser: "User made",
	updateUser: "User changed",
	deleteUser: "User removed",
	unlockUser: "User let in again",
	createKey: "S3 key made",
	deleteKey: "S3 key removed",
	rotateKey: "S3 key replaced",
	createBucket: "Bucket made",
	putBucket: "Bucket made",
	updateBucket: "Bucket changed",
	deleteBucket: "Bucket deleted",
	presignObject: "Link made",
	setMode: "Mode set",
	setPace: "Pace set",
	resetPace: "Pace as configured",
	pauseBackend: "Backend paused",
	resumeBackend: "Backend resumed",
	drainBackend: "Drain begun",
	addBackend: "Backend added",
	changeBackend: "Backend changed",
	removeBackend: "Backend removed",
	startJob: "Job begun",
	endJob: "Job ended",
	rotateSecretKey: "Secret key rotated",
};

export function deed(op: string): string {
	const words = op.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
	return deeds[op] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** The result of an operation. */
export function resultTone(result: string): Tone {
	switch (result) {
		case "acked":
		case "healed":
		case "done":
			return "good";
		case "unknown":
			return "warn";
		default: // failed, refused
			return "bad";
	}
}

/** What one backend answered. */
export function outcomeTone(outcome: string): Tone {
	switch (outcome) {
		case "ok":
			return "good";
		case "late": // it had not answered when the client was
			return "busy";
		default:
			return "warn";
	}
}

/** What the backends answered, in few words: that all did as asked, or each by itself. */
export function outcomes(backends: Record<string, string>): { tone: Tone; text: string }[] {
	const all = Object.entries(backends).sort(([a], [b]) => a.localeCompare(b));
	if (all.length > 0 && all.every(([, o]) => o === "ok")) {
		return [{ tone: "good", text: all.length === 1 ? `${all[0]?.[0]} ok` : `ok on all ${all.length}` }];
	}
	return all.map(([name, o]) => ({ tone: outcomeTone(o), text: `${name} ${o}` }));
}

/** Events by the day on which they were, in their order. */
export function byDay<E extends { time: string }>(events: E[], day: (iso: string) => string): [string, E[]][] {
	const days: [string, E[]][] = [];
	for (const e of events) {
		const name = day(e.time);
		const last = days.at(-1);
		if (last?.[0] === name) {
			last[1].push(e);
		} else {
			days.push([name, [e]]);
		}
	}
	return days;
}
