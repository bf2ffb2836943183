// Backends as one speaks of them: how one is spoken to, and what it was found to do.
import type { BackendChange, Finding, NewBackend, Probe } from "../api/gen/types.gen";
import { many } from "./format";
import type { Tone } from "./tone";

/** What a form says of a backend. Of one that there is, empty means: as it is. */
export type Draft = {
	name: string;
	endpoint: string;
	region: string;
	key: string;
	secret: string;
	addressing: "" | "path" | "host";
	framing: string;
	storageClass: string;
	ca: string;
	bucket: string;
};

export const noDraft: Draft = {
	name: "",
	endpoint: "",
	region: "",
	key: "",
	secret: "",
	addressing: "",
	framing: "",
	storageClass: "",
	ca: "",
	bucket: "",
};

/** Only what was filled in: what is left out is the server's to choose. */
const filled = <T extends Record<string, unknown>>(all: T): Partial<T> =>
	Object.fromEntries(Object.entries(all).filter(([, v]) => v !== "" && v !== undefined)) as Partial<T>;

const spoken = (d: Draft) =>
	filled({
		region: d.region.trim(),
		path_style: d.addressing === "" ? undefined : d.addressing === "path",
		payload_mode: d.framing,
		storage_class: d.storageClass.trim(),
		ca: d.ca.trim(),
		bucket: d.bucket.trim(),
	});

export const newBackend = (d: Draft): NewBackend => ({
	name: d.name.trim(),
	endpoint: d.endpoint.trim().replace(/\/$/, ""),
	access_key_id: d.key.trim(),
	secret_access_key: d.secret.trim(),
	...spoken(d),
});

export const backendChange = (d: Draft): BackendChange => ({
	...filled({
		endpoint: d.endpoint.trim().replace(/\/$/, ""),
		access_key_id: d.key.trim(),
		secret_access_key: d.secret.trim(),
	}),
	...spoken(d),
});

/** What a level of the probes means. */
export function levelWords(level: string): { tone: Tone; text: string; means: string } {
	switch (level) {
		case "F0":
			return {
				tone: "good",
				text: "fit",
				means: "Fit to hold replicas. That a request which comes late does no harm rests on the settle time.",
			};
		case "F1":
			return {
				tone: "good",
				text: "fit, conditions hold",
				means: "Fit to hold replicas. Its conditional writes hold when two race.",
			};
		case "F2":
			return {
				tone: "good",
				text: "fit, keeps versions",
				means: "Fit to hold replicas. It keeps versions that are read and removed by their ids.",
			};
		default:
			return { tone: "bad", text: "refused", means: "Unfit to hold replicas: it may lose or mix up data." };
	}
}

export const findingTone: Record<string, Tone> = { yes: "good", no: "idle", unsafe: "bad", unknown: "warn" };

/** Whether there are kinds of keys that it may not be given. */
export const mixesUp = (p: Probe): boolean => p.probes.some((f) => f.name.startsWith("key-") && f.result === "unsafe");

const weight = ["unsafe", "unknown", "no", "yes"];

/** The findings, what one should look at first. */
export const findings = (p: Probe): Finding[] =>
	[...p.probes].sort((a, b) => weight.indexOf(a.result) - weight.indexOf(b.result) || a.name.localeCompare(b.name));

/** "38 findings: 30 yes, 7 no, 1 unknown". */
export function findingsInShort(p: Probe): string {
	const parts = [...weight]
		.reverse()
		.map((result) => [p.probes.filter((f) => f.result === result).length, result] as const)
		.filter(([n]) => n > 0)
		.map(([n, result]) => `${n} ${result}`);
	return `${many(p.probes.length, "finding")}: ${parts.join(", ")}`;
}
