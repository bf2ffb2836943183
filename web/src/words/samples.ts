// What the node counts, read from /metrics as a dashboard would, and what that is per second.

/** Counters of one moment. */
export type Sample = {
	at: number; // ms since 1970
	process: string; // when its process began: who has counted
	requests: number;
	errors: number;
	oldestLag: number; // seconds
	backends: Record<string, { seconds: number; operations: number }>;
};

/** What happened between two samples of one process. */
export type Point = { at: number; requests: number; errors: number; oldestLag: number };

const line = /^(s3mirror_[a-z0-9_]+)(?:\{(.*)\})? (\S+)$/;
const label = (labels: string, name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? "";

/** Reads the text exposition format, as far as the console wants it. */
export function parse(text: string, at: number): Sample {
	const s: Sample = { at, process: "", requests: 0, errors: 0, oldestLag: 0, backends: {} };
	const backend = (name: string) => {
		s.backends[name] ??= { seconds: 0, operations: 0 };
		return s.backends[name];
	};
	for (const l of text.split("\n")) {
		const found = l.startsWith("s3mirror_") && !l.includes("_bucket{") ? line.exec(l) : null;
		if (!found) {
			continue;
		}
		const [, name, labels = "", number] = found;
		const value = Number(number);
		switch (name) {
			case "s3mirror_process_start_time_seconds":
				s.process = number ?? "";
				break;
			case "s3mirror_gateway_requests_total":
				s.requests += value;
				s.errors += isError(labels) ? value : 0;
				break;
			case "s3mirror_backend_lag_oldest_seconds":
				s.oldestLag = Math.max(s.oldestLag, value);
				break;
			case "s3mirror_backend_operation_seconds_sum":
				backend(label(labels, "backend")).seconds += value;
				break;
			case "s3mirror_backend_operation_seconds_count":
				backend(label(labels, "backend")).operations += value;
				break;
		}
	}
	return s;
}

/** An error of ours: what was the client's own fault is none. */
const isError = (labels: string) => ["5xx", "cut"].includes(label(labels, "class"));

/** The samples of one process, oldest first, as points per second. Behind a load balancer others come between. */
export function points(samples: Sample[]): Point[] {
	const out: Point[] = [];
	const before = new Map<string, Sample>();
	for (const s of samples) {
		const b = before.get(s.process);
		before.set(s.process, s);
		const seconds = b ? (s.at - b.at) / 1000 : 0;
		if (b && seconds > 0) {
			out.push({
				at: s.at,
				requests: Math.max(0, s.requests - b.requests) / seconds,
				errors: Math.max(0, s.errors - b.errors) / seconds,
				oldestLag: s.oldestLag,
			});
		}
	}
	return out;
}

/** How long an operation on each backend took between the first and the last sample of the newest process, in seconds. */
export function latencies(samples: Sample[]): Record<string, number | undefined> {
	const last = samples.at(-1);
	const first = samples.find((s) => s.process === last?.process);
	const out: Record<string, number | undefined> = {};
	for (const [name, now] of Object.entries(last?.backends ?? {})) {
		const then = first?.backends[name];
		const operations = now.operations - (then?.operations ?? 0);
		out[name] = operations > 0 ? (now.seconds - (then?.seconds ?? 0)) / operations : undefined;
	}
	return out;
}
