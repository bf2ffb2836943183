// Is everything safe? One sentence and a colour, and what to do about what is not.
import type { BackendStatus, Replication, Status } from "../api/gen/types.gen";
import { bytes, many, span } from "./format";
import type { Tone } from "./tone";

export type Verdict = { tone: Tone; title: string; detail: string };
export type Alarm = { id: string; tone: Tone; title: string; detail: string; todo: string };

/** lagAlarm is when a lag is no longer the healer's everyday work: that of AWS replication time control. */
const lagAlarm = 15 * 60; // seconds

/** "eu-1", "eu-1 and eu-2", "eu-1, eu-2 and ru-1". */
export function listed(names: string[]): string {
	return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

const named = (backends: BackendStatus[], ...states: BackendStatus["state"][]) =>
	backends.filter((b) => states.includes(b.state)).map((b) => b.name);

const are = (names: string[]) => (names.length === 1 ? "is" : "are");

/** What a backend has still to be given, in words; "nothing" for none. */
const owed = (b: Pick<BackendStatus, "lagging_keys" | "lagging_bytes">) =>
	b.lagging_keys === 0 ? "nothing" : `${many(b.lagging_keys, "object")} (${bytes(b.lagging_bytes)})`;

type Modes = Pick<Replication, "mode" | "primary" | "buckets">;

/** Where replication is disabled, in words; undefined where it is active everywhere. */
function disabled(modes?: Modes): string | undefined {
	const off = modes?.buckets.filter((b) => b.mode === "disabled").map((b) => b.bucket) ?? [];
	return modes?.mode === "disabled" ? "" : off.length > 0 ? ` for ${listed(off)}` : undefined;
}

export function verdict(s: Status, modes?: Modes): Verdict {
	const { backends } = s;
	const serving = named(backends, "up", "degraded");
	const down = named(backends, "down");
	const paused = named(backends, "paused");
	const away = [...down, ...paused];
	if (serving.length === 0) {
		return {
			tone: "bad",
			title: "No backend can be reached",
			detail: "Reads and writes fail until one is back. What was acknowledged is still where it was written.",
		};
	}
	if (away.length > 0) {
		const why = [
			down.length > 0 && `${listed(down)} ${are(down)} down`,
			paused.length > 0 && `${listed(paused)} ${are(paused)} paused`,
		].filter((p) => p !== false);
		const alone = serving.length === 1 && backends.length > 1;
		return {
			tone: alone ? "bad" : "warn",
			title: why.join(", "),
			detail: alone
				? `Only ${serving[0]} is left: what is written now has one copy until another backend is back.`
				: `${listed(serving)} serve everything. What ${listed(away)} ${away.length === 1 ? "misses" : "miss"} is logged, and copied as soon as that is possible.`,
		};
	}
	if (s.refused.keys > 0) {
		return {
			tone: "warn",
			title: `${many(s.refused.keys, "object")} cannot be held by every backend`,
			detail: "A backend refuses the key. The object is served by the others.",
		};
	}
	const degraded = named(backends, "degraded");
	if (degraded.length > 0) {
		return {
			tone: "warn",
			title: `${listed(degraded)} ${are(degraded)} in difficulty`,
			detail: "It answers, but slowly or not always. The others serve in its place.",
		};
	}
	const off = disabled(modes);
	if (off !== undefined) {
		return {
			tone: "warn",
			title: `Replication is disabled${off}`,
			detail:
				"What is written there has one copy. What the other backends miss is logged, and copied once it is active again.",
		};
	}
	if (s.lagging.keys > 0) {
		const behind = backends.filter((b) => b.lagging_keys > 0).map((b) => b.name);
		return {
			tone: "busy",
			title: `${behind.length > 0 ? listed(behind) : "A backend"} ${are(behind.length > 0 ? behind : [""])} catching up`,
			detail: `${many(s.lagging.keys, "object")} to go, ${bytes(s.lagging.bytes)}; the oldest waits for ${span(s.lagging.oldest_seconds)}. Everything is served by the backends that have it.`,
		};
	}
	if (!s.converged) {
		return {
			tone: "busy",
			title: "Everything is safe, and settling",
			detail: `Whether ${many(s.unsettled.keys, "object")} arrived everywhere is being found out.`,
		};
	}
	if (backends.length === 1) {
		return {
			tone: "warn",
			title: "Everything is on one backend only",
			detail: "There is nothing to replicate to. Configure a second backend to have copies.",
		};
	}
	return {
		tone: "good",
		title: "Everything is safe",
		detail: `All ${backends.length} backends have what they should.`,
	};
}

/** A reason of the server's as a sentence. */
const sentence = (reason = "") => reason.charAt(0).toUpperCase() + reason.slice(1);

/** What is open, worst first. */
export function alarms(s: Status, modes?: Modes): Alarm[] {
	const found: Alarm[] = [];
	const off = disabled(modes);
	if (off !== undefined) {
		found.push({
			id: "disabled",
			tone: "warn",
			title: `Replication is disabled${off}`,
			detail: `${many(s.lagging.keys, "object")} (${bytes(s.lagging.bytes)}) to copy so far.`,
			todo: "Make it active under Replication when the reason for it is gone.",
		});
	}
	for (const b of s.backends) {
		if (b.state === "down") {
			found.push({
				id: `down ${b.name}`,
				tone: "bad",
				title: `${b.name} is down`,
				detail: sentence(b.reason) || "It does not answer.",
				todo: `It lacks ${owed(b)}. Bring the endpoint back, or put its address and credentials right: it is used again within seconds, and caught up by itself.`,
			});
		} else if (b.state === "degraded") {
			found.push({
				id: `degraded ${b.name}`,
				tone: "warn",
				title: `${b.name} is in difficulty`,
				detail: sentence(b.reason) || "Some of its operations fail, or it is slow.",
				todo: "Look at the endpoint and the way to it. Clients are served by the other backends meanwhile.",
			});
		} else if (b.state === "paused") {
			found.push({
				id: `paused ${b.name}`,
				tone: "idle",
				title: `${b.name} is paused`,
				detail: sentence(b.reason) || "An operator took it out.",
				todo: `It lacks ${owed(b)}. Resume it when it may be used again.`,
			});
		}
		if (b.oldest_seconds > lagAlarm && b.state !== "down" && b.state !== "paused") {
			found.push({
				id: `lag ${b.name}`,
				tone: "warn",
				title: `${b.name} is ${span(b.oldest_seconds)} behind`,
				detail: `${owed(b)} to copy.`,
				todo: "Look whether it keeps up: the pace of the healer may be set too low, or the endpoint is too slow for what is written.",
			});
		}
	}
	if (s.refused.keys > 0) {
		found.push({
			id: "refused",
			tone: "warn",
			title: `${many(s.refused.keys, "object")} refused by a backend`,
			detail: "Its rules for names or sizes do not allow the key.",
			todo: "Rename the object, or keep its bucket off that backend.",
		});
	}
	const weight: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, idle: 3, good: 4 };
	return found.sort((a, b) => weight[a.tone] - weight[b.tone]);
}

/** How the state of a backend is shown. */
export const stateTone: Record<BackendStatus["state"], Tone> = {
	up: "good",
	degraded: "warn",
	down: "bad",
	paused: "idle",
};
