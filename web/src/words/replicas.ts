import type { ReplicaState } from "../api/gen/types.gen";
import { listed } from "./safety";
import type { Tone } from "./tone";

export const replicaTone: Record<ReplicaState, Tone> = {
	current: "good",
	lagging: "warn",
	healing: "busy",
	unsettled: "busy",
	refused: "bad",
	absent: "warn",
};

/** What a state of a replica means. */
export const replicaMeaning: Record<ReplicaState, string> = {
	current: "holds what clients are shown",
	lagging: "misses it, and will be given it",
	healing: "is being given it now",
	unsettled: "whether a request it was sent took effect is being found out",
	refused: "will not hold this key: its endpoint does not allow it",
	absent: "lost the bucket, and is not filled again as far as this key",
};

export type Standing = { tone: Tone; text: string };

/** The replicas of an object in few words: that all are equal, or those that are not. */
export function standing(replicas: Record<string, ReplicaState>): Standing[] {
	const names = Object.keys(replicas).sort();
	const by = new Map<ReplicaState, string[]>();
	for (const name of names) {
		const state = replicas[name] as ReplicaState;
		by.set(state, [...(by.get(state) ?? []), name]);
	}
	const current = by.get("current")?.length ?? 0;
	if (current === names.length) {
		return [{ tone: "good", text: current === 1 ? "1 replica" : `equal on ${current}` }];
	}
	const others = [...by.entries()].filter(([state]) => state !== "current");
	return others.map(([state, on]) => ({ tone: replicaTone[state], text: `${listed(on)} ${state}` }));
}

/** The folders above a prefix, each with its own: "a/b/c" is in "a/" and "a/b/". */
export function folders(prefix: string): { name: string; prefix: string }[] {
	const parts = prefix.split("/").slice(0, -1);
	return parts.map((name, i) => ({ name: name || "/", prefix: `${parts.slice(0, i + 1).join("/")}/` }));
}

/** What of a key is shown in a folder. */
export const nameIn = (folder: string, key: string): string => key.slice(folder.length) || key;

/** The folder that a prefix is in: all up to its last slash. */
export const folderOf = (prefix: string): string => prefix.slice(0, prefix.lastIndexOf("/") + 1);
