// Where a bucket stands: on which backends, and under which name on each.
import type { Ack, BucketChange, BucketState, NewBucket } from "../api/gen/types.gen";
import { listed } from "./safety";
import type { Tone } from "./tone";

/** Where a bucket is to stand; no backends: where the configuration says. */
export type Place = {
	chosen: boolean;
	names: Record<string, string>; // by backend that holds it: its name there; empty: the same
	equal: boolean; // what stands there already is the same everywhere
};

export const anywhere: Place = { chosen: false, names: {}, equal: false };

/** The place without a backend that was in it, or with one that was not. */
export function turned(p: Place, backend: string): Place {
	const { [backend]: was, ...rest } = p.names;
	return { ...p, names: was === undefined ? { ...rest, [backend]: "" } : rest };
}

/** Why there is nothing to make yet. */
export const lackOf = (p: Place): string | undefined =>
	p.chosen && Object.keys(p.names).length === 0 ? "Choose a backend" : undefined;

export function newBucket(name: string, p: Place): NewBucket {
	if (!p.chosen) {
		return { name };
	}
	const other = Object.entries(p.names)
		.map(([backend, there]) => [backend, there.trim()] as const)
		.filter(([, there]) => there !== "" && there !== name);
	return {
		name,
		replica_set: Object.keys(p.names).sort(),
		...(other.length > 0 ? { names: Object.fromEntries(other) } : {}),
		...(p.equal ? { assume_equal: true } : {}),
	};
}

/** What has a backend join those that a bucket is on. */
export function joined(bucket: string, on: string[], backend: string, there: string, equal: boolean): BucketChange {
	const name = there.trim();
	return {
		replica_set: [...on, backend],
		...(name !== "" && name !== bucket ? { names: { [backend]: name } } : {}),
		...(equal ? { assume_equal: true } : {}),
	};
}

/** What will be, in a sentence. */
export function placeMeans(p: Place): string {
	const n = Object.keys(p.names).length;
	if (!p.chosen) {
		return "It is made on the backends that the configuration says.";
	}
	if (n === 0) {
		return "";
	}
	return n === 1
		? "It is made on one backend alone: its objects have one copy."
		: `It is made on these ${n} backends, and on no other.`;
}

export const bucketTone: Record<BucketState, Tone> = {
	present: "good",
	pending: "busy",
	filling: "busy",
	behind: "warn",
	unusable: "bad",
};

export const bucketMeans: Record<BucketState, string> = {
	present: "it is there",
	pending: "it was not made there yet",
	filling: "it was lost there, or joined, and is filled; reads pass it by until then",
	behind: "it missed too much there to be healed key by key; it is compared and filled when the backend is back",
	unusable: "something there has to be put right",
};

/** When a write is answered, in a sentence. */
export function ackMeans(ack: Ack, backends: number): string {
	const has =
		ack.at_least >= backends
			? "all of its backends have it"
			: `${ack.at_least} of its ${backends} backends ${ack.at_least === 1 ? "has" : "have"} it`;
	const among = ack.include.length > 0 ? `, ${listed(ack.include)} among them` : "";
	const rest = ack.at_least < backends ? "; the others are given it at the same time, and are not waited for" : "";
	return `A write is answered once ${has}${among}${rest}.`;
}
