import type { Mode, Pace } from "../api/gen/types.gen";
import { bytes, span } from "./format";

/** What a mode means for the next write, in a sentence. */
export function promise(mode: Mode, primary = "the primary"): string {
	return mode === "active"
		? "Every write goes to all replicas at once; what one of them misses is copied by itself."
		: `${primary} alone takes writes and is read. What the other replicas miss is logged, and copied once the mode is active again.`;
}

type Limits = Pick<Pace, "bytes_per_second" | "requests_per_second">;

/** What heals may take of a backend. */
export function paceOf(p: Limits): string {
	const parts = [
		p.bytes_per_second > 0 && `${bytes(p.bytes_per_second)}/s`,
		p.requests_per_second > 0 && `${p.requests_per_second.toLocaleString("en")} requests/s`,
	].filter((part) => part !== false);
	return parts.length === 0 ? "no limit" : parts.join(", ");
}

/** What a pace means for what a backend lacks, in a sentence. */
export function paceMeans(p: Limits, lacks: { keys: number; bytes: number }): string {
	if (p.bytes_per_second === 0 && p.requests_per_second === 0) {
		return "Heals take what clients leave of it, and no more.";
	}
	const limit = `Heals take at most ${paceOf(p)}`;
	if (lacks.keys === 0) {
		return `${limit}, and less while clients need it.`;
	}
	const seconds = Math.max(
		p.bytes_per_second > 0 ? lacks.bytes / p.bytes_per_second : 0,
		p.requests_per_second > 0 ? lacks.keys / p.requests_per_second : 0,
	);
	return `${limit}: what it lacks takes ${span(seconds)} or more.`;
}

const mebi = 1 << 20;

/** The stops of a slider, lowest first; 0, no limit, is at its far end. */
export const byteStops = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((m) => m * mebi).concat(0);
export const requestStops = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].concat(0);

/** The stop that is nearest to a limit: what was set elsewhere may lie between two. */
export function stopOf(stops: number[], limit: number): number {
	if (limit <= 0) {
		return stops.length - 1;
	}
	let best = 0;
	for (let i = 1; i < stops.length - 1; i++) {
		const [here, there] = [stops[i] as number, stops[best] as number];
		if (Math.abs(Math.log(here / limit)) < Math.abs(Math.log(there / limit))) {
			best = i;
		}
	}
	return best;
}
