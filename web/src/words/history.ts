import type { Tone } from "./tone";

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
