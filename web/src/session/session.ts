// The session of this page: an access token in memory, renewed by a cookie that no
// script can read. docs/decisions/0028.

import type { Probe } from "../api/gen/types.gen";

export type Token = { access_token: string; expires_in: number };

/** Where the admin API is: beside the page, wherever a proxy has put that. */
export const apiBase = (page: string): string => new URL(".", page).href.replace(/\/$/, "");

/** What a refused or broken request is told as. */
export class Refusal extends Error {
	readonly status: number; // 0: no answer
	readonly type: string; // stable; "" when the answer was no problem document
	readonly requestId: string;
	readonly probe: Probe | undefined; // of a backend that was refused: what it was found to do

	constructor(status: number, title: string, detail = "", type = "", requestId = "", probe?: Probe) {
		super(detail ? `${title}: ${detail}` : title);
		this.status = status;
		this.type = type;
		this.requestId = requestId;
		this.probe = probe;
	}
}

/** Reads the problem document of an answer that is not 2xx. */
export async function refusalOf(answer: Response): Promise<Refusal> {
	try {
		const p = await answer.clone().json();
		if (typeof p?.title === "string") {
			return new Refusal(answer.status, p.title, p.detail ?? "", p.type ?? "", p.request_id ?? "", p.probe);
		}
	} catch {
		// not a document of ours: a proxy's page
	}
	return new Refusal(answer.status, `The server answered ${answer.status}`);
}

export const unreachable = () =>
	new Refusal(0, "The server does not answer", "check the connection; this page tries again by itself");

type Options = {
	base: string;
	fetch: typeof fetch;
	now: () => number;
	/** Called when the session has ended for good: its password is needed again. */
	ended: () => void;
};

/** renewBefore is how long before its end a token is replaced, in ms. */
const renewBefore = 30_000;

export class Session {
	#o: Options;
	#token = "";
	#until = 0;
	#renewing: Promise<boolean> | undefined;

	constructor(o: Options) {
		this.#o = o;
	}

	get open(): boolean {
		return this.#token !== "";
	}

	async #ask(method: string, body?: unknown): Promise<Response> {
		try {
			return await this.#o.fetch(`${this.#o.base}/api/v1/auth/session`, {
				method,
				headers: {
					"X-S3mirror-Session": "1",
					...(body === undefined ? {} : { "Content-Type": "application/json" }),
				},
				body: body === undefined ? undefined : JSON.stringify(body),
			});
		} catch {
			throw unreachable();
		}
	}

	async #take(answer: Response) {
		const t: Token = await answer.json();
		this.#token = t.access_token;
		this.#until = this.#o.now() + t.expires_in * 1000;
	}

	/** Begins one. Throws a Refusal. */
	async begin(login: string, password: string): Promise<void> {
		const answer = await this.#ask("POST", { login, password });
		if (!answer.ok) {
			throw await refusalOf(answer);
		}
		await this.#take(answer);
	}

	/** Whether the cookie opens a session. Those who ask at once share one renewal. Throws when it cannot be known. */
	renew(): Promise<boolean> {
		this.#renewing ??= this.#renew().finally(() => {
			this.#renewing = undefined;
		});
		return this.#renewing;
	}

	async #renew(): Promise<boolean> {
		const answer = await this.#ask("PUT");
		if (answer.status === 200) {
			await this.#take(answer);
			return true;
		}
		if (answer.status === 204 || answer.status === 401) {
			this.#token = "";
			return false;
		}
		throw await refusalOf(answer);
	}

	/** Ends it, on the server too. */
	async end(): Promise<void> {
		const answer = await this.#ask("DELETE");
		if (!answer.ok) {
			throw await refusalOf(answer);
		}
		this.forget();
	}

	/** The page holds no token any more, whatever the server has. */
	forget() {
		this.#token = "";
		this.#o.ended();
	}

	/** A token that is good for a while yet. Throws a Refusal when the session has ended. */
	async token(): Promise<string> {
		if (!this.#token || this.#until - this.#o.now() < renewBefore) {
			if (!(await this.renew())) {
				this.forget();
				throw new Refusal(401, "The session has ended");
			}
		}
		return this.#token;
	}

	/** fetch with the token. A token that is refused is renewed once, and the request made once more. */
	fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
		const request = new Request(input, init);
		await this.token();
		const again = request.clone();
		const answer = await this.#send(request);
		if (answer.status !== 401) {
			return answer;
		}
		if (!(await this.renew())) {
			this.forget();
			return answer;
		}
		return this.#send(again);
	};

	async #send(request: Request): Promise<Response> {
		request.headers.set("Authorization", `Bearer ${this.#token}`);
		try {
			return await this.#o.fetch(request);
		} catch (e) {
			if (request.signal.aborted) {
				throw e;
			}
			throw unreachable();
		}
	}
}
