import type { Mode, Pace } from "../api/gen/types.gen";
import { bytes } from "./format";

/** What a mode means for the next write, in a sentence. */
export function promise(mode: Mode, primary = "the primary"): string {
	return mode === "active"
		? "Every write goes to all replicas at once; what one of them misses is copied by itself."
		: `${primary} alone takes writes and is read. What the other replicas miss is logged, and copied once the mode is active again.`;
}

/** What heals may take of a backend. */
export function paceOf(p: Pick<Pace, "bytes_per_second" | "requests_per_second">): string {
	const parts = [
		p.bytes_per_second > 0 && `${bytes(p.bytes_per_second)}/s`,
		p.requests_per_second > 0 && `${p.requests_per_second.toLocaleString("en")} requests/s`,
	].filter((part) => part !== false);
	return parts.length === 0 ? "what is left" : parts.join(", ");
}
