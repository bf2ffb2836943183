// How far a backend has caught up, told from what it lacked when one looked.
import { many, span } from "./format";

export type Seen = { at: number; keys: number }; // ms since 1970; keys to copy

/** What was seen since the backlog began: the most, and the last half minute. */
export type Course = { peak: number; seen: Seen[] };

const window = 30_000; // ms

/** The course with one more look. A backlog that was over begins anew. */
export function follow(course: Course | undefined, look: Seen): Course | undefined {
	if (look.keys === 0) {
		return undefined;
	}
	const seen = [...(course?.seen ?? []).filter((s) => s.at > look.at - window && s.at < look.at), look];
	return { peak: Math.max(course?.peak ?? 0, look.keys), seen };
}

/** Copies a second, 0 while the backlog does not shrink. */
export function pace(course: Course): number {
	const first = course.seen[0];
	const last = course.seen.at(-1);
	const seconds = first && last ? (last.at - first.at) / 1000 : 0;
	return first && last && seconds > 0 ? Math.max(0, (first.keys - last.keys) / seconds) : 0;
}

/** The part of the backlog that is done, 0 to 1. */
export const done = (course: Course): number => 1 - (course.seen.at(-1)?.keys ?? 0) / course.peak;

/** "12 of 40 objects copied, 3 a second, 9 s to go". */
export function progress(course: Course): string {
	const left = course.seen.at(-1)?.keys ?? 0;
	const speed = pace(course);
	const parts = [`${(course.peak - left).toLocaleString("en")} of ${many(course.peak, "object")} copied`];
	if (speed > 0) {
		parts.push(`${speed < 10 ? speed.toFixed(1) : Math.round(speed).toLocaleString("en")} a second`);
		parts.push(`about ${span(left / speed)} to go`);
	}
	return parts.join(", ");
}
