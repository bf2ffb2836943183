const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** 1536 is "1.5 KiB". */
export function bytes(n: number): string {
	let unit = 0;
	let v = n;
	while (v >= 1023.95 && unit < units.length - 1) {
		v /= 1024;
		unit++;
	}
	return `${unit === 0 ? v : v < 9.995 ? v.toFixed(1) : Math.round(v).toLocaleString("en")} ${units[unit]}`;
}

/** 1204 is "1,204". */
export const count = (n: number): string => n.toLocaleString("en");

/** "1 object", "2 objects". */
export const many = (n: number, one: string, more = `${one}s`): string => `${count(n)} ${n === 1 ? one : more}`;

/** A span of seconds as one says it: "0.4 s", "12 s", "3 min", "5 h", "2 days". */
export function span(seconds: number): string {
	if (seconds < 0.95) {
		return `${Math.max(0, seconds).toFixed(1)} s`;
	}
	if (seconds < 90) {
		return `${Math.round(seconds)} s`;
	}
	if (seconds < 90 * 60) {
		return `${Math.round(seconds / 60)} min`;
	}
	if (seconds < 36 * 3600) {
		return `${Math.round(seconds / 3600)} h`;
	}
	return many(Math.round(seconds / 86400), "day");
}

/** How long ago a moment was; "never" for none. */
export function ago(moment: string | null | undefined, now = Date.now()): string {
	if (!moment) {
		return "never";
	}
	const seconds = (now - Date.parse(moment)) / 1000;
	return seconds < 2 ? "just now" : `${span(seconds)} ago`;
}

/** A moment in the reader's own time zone, to the second. */
export const moment = (iso: string): string =>
	new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** A day in the reader's own time zone. */
export const day = (iso: string): string => new Date(iso).toLocaleDateString("en-GB", { dateStyle: "medium" });

/** A time of the day in the reader's own time zone, to the second. */
export const clock = (iso: string): string => new Date(iso).toLocaleTimeString("en-GB");
