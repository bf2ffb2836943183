import { apiBase, refusalOf, Session } from "../session/session";
import { client } from "./gen/client.gen";

const listeners = new Set<() => void>();

/** Calls then when the session has ended; returns what stops that. */
export const onEnd = (then: () => void) => {
	listeners.add(then);
	return () => listeners.delete(then);
};

export const session = new Session({
	base: apiBase(document.URL),
	fetch: (input, init) => fetch(input, init),
	now: () => Date.now(),
	ended: () => {
		for (const then of listeners) {
			then();
		}
	},
});

// A session that ended in one tab has ended in all of them.
const tabs = new BroadcastChannel("s3mirror session");
tabs.onmessage = () => session.forget();

export async function signOut() {
	await session.end();
	tabs.postMessage("ended");
}

client.setConfig({ baseUrl: apiBase(document.URL), fetch: session.fetch, throwOnError: true });
client.interceptors.error.use(async (error, answer) =>
	error instanceof Error || !answer ? error : refusalFrom(answer, error),
);

// The generated client has read the body already: its document is the error.
function refusalFrom(answer: Response, error: unknown) {
	return refusalOf(new Response(typeof error === "string" ? error : JSON.stringify(error), { status: answer.status }));
}
