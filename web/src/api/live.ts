// What happens, as it happens: one stream of the admin API for each page that is looked
// at. Where it does not come through, queries ask by themselves, as often as without.
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { apiBase } from "../session/session";
import { withJob } from "../words/joblist";
import { EventReader, pauseBefore, type StreamEvent } from "../words/stream";
import { session } from "./client";
import type { Job } from "./gen/types.gen";

let live = false;
const readers = new Set<() => void>();

function setLive(now: boolean) {
	if (live !== now) {
		live = now;
		for (const r of readers) {
			r();
		}
	}
}

const subscribe = (reader: () => void) => {
	readers.add(reader);
	return () => {
		readers.delete(reader);
	};
};

/** Whether the stream is open. */
export const useLive = () => useSyncExternalStore(subscribe, () => live);

/** Asks seldom while the stream tells, and every few seconds (ms) while it does not. */
export const every = (seldom: number, often: number) => () => (live ? seldom : often);

const silence = 40_000; // ms; the server says something every 15 s

/** Listens until the signal ends it, again and again. A page that nobody looks at does not: a browser has few connections. */
export async function listen(queries: QueryClient, signal: AbortSignal): Promise<void> {
	for (let attempt = 0; !signal.aborted; attempt++) {
		await shown(signal);
		const begun = Date.now();
		await once(queries, signal).catch(() => undefined); // whatever it was: the queries tell
		setLive(false);
		if (Date.now() - begun > silence) {
			attempt = 0;
		}
		await pause(pauseBefore(attempt), signal);
	}
}

/** One stream, to its end. */
async function once(queries: QueryClient, signal: AbortSignal) {
	const stop = new AbortController();
	const end = () => stop.abort();
	const hide = () => document.hidden && end();
	signal.addEventListener("abort", end);
	document.addEventListener("visibilitychange", hide);
	let timer = setTimeout(end, silence);
	try {
		const answer = await session.fetch(`${apiBase(document.URL)}/api/v1/events`, { signal: stop.signal });
		if (!answer.ok || !answer.body) {
			return;
		}
		const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		const events = new EventReader();
		for (;;) {
			const { done, value } = await text.read();
			if (done) {
				return;
			}
			clearTimeout(timer);
			timer = setTimeout(end, silence);
			for (const e of events.push(value)) {
				take(queries, e);
			}
		}
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", end);
		document.removeEventListener("visibilitychange", hide);
	}
}

/** Puts what an event tells where the pages find it. */
function take(queries: QueryClient, { event, data }: StreamEvent) {
	switch (event) {
		case "status":
			queries.setQueryData(["status"], JSON.parse(data));
			void queries.invalidateQueries({ queryKey: ["replication"] });
			setLive(true);
			break;
		case "job":
			takeJob(queries, JSON.parse(data));
			break;
		case "audit":
		case "lost":
			void queries.invalidateQueries({ queryKey: ["history"] });
			void queries.invalidateQueries({ queryKey: ["replication"] });
			void queries.invalidateQueries({ queryKey: ["jobs"] });
			break;
	}
}

/** A job that came forward: its line is what the event says; who looks at what it found asks. */
function takeJob(queries: QueryClient, job: Job) {
	queries.setQueryData<Job[]>(["jobs"], (all) => all && withJob(all, job));
	void queries.invalidateQueries({ queryKey: ["job", job.id] });
}

const shown = (signal: AbortSignal) =>
	new Promise<void>((resolve) => {
		if (!document.hidden || signal.aborted) {
			resolve();
			return;
		}
		const look = () => {
			if (!document.hidden || signal.aborted) {
				document.removeEventListener("visibilitychange", look);
				resolve();
			}
		};
		document.addEventListener("visibilitychange", look);
		signal.addEventListener("abort", look, { once: true });
	});

const pause = (ms: number, signal: AbortSignal) =>
	new Promise<void>((resolve) => {
		const timer = setTimeout(resolve, signal.aborted ? 0 : ms);
		signal.addEventListener("abort", () => {
			clearTimeout(timer);
			resolve();
		});
	});
