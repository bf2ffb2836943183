import { useSyncExternalStore } from "react";
import { apiBase } from "../session/session";
import { parse, type Sample } from "../words/samples";

const every = 5_000; // ms
const kept = 180; // samples: a quarter of an hour

let samples: Sample[] = [];
let broken = false;
let timer: ReturnType<typeof setInterval> | undefined;
const readers = new Set<() => void>();

async function take() {
	try {
		const answer = await fetch(`${apiBase(document.URL)}/metrics`);
		broken = !answer.ok;
		if (answer.ok) {
			samples = [...samples.slice(1 - kept), parse(await answer.text(), Date.now())];
		}
	} catch {
		broken = true;
	}
	for (const r of readers) {
		r();
	}
}

// From the first look on, for as long as the page is open: who comes back to the
// overview sees what has happened meanwhile.
function subscribe(reader: () => void) {
	readers.add(reader);
	if (!timer) {
		void take();
		timer = setInterval(take, every);
	}
	return () => {
		readers.delete(reader);
	};
}

/** What the node has counted since this page looked first. */
export const useSamples = () => useSyncExternalStore(subscribe, () => samples);

/** Whether the last look failed: a proxy may keep /metrics to itself. */
export const useSamplesBroken = () => useSyncExternalStore(subscribe, () => broken);
