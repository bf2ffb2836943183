// One file on its way into a bucket: in one piece, or in parts that are kept while it is
// paused.
import { apiBase, Refusal } from "../session/session";
import { type Piece, pieces, wholeUpTo } from "../words/parts";
import { abortUpload, completeUpload, createUpload } from "./gen/sdk.gen";
import type { WrittenPart } from "./gen/types.gen";
import { objectUrl, send } from "./objects";

const atOnce = 3; // parts
const tries = 4; // of each, when the server does not answer or is at fault

export class Transfer {
	readonly inParts: boolean;
	readonly #bucket: string;
	readonly #key: string;
	readonly #file: File;
	readonly #told: (sent: number) => void;
	#upload = ""; // its id, once it has begun
	#written = new Map<number, WrittenPart>();
	#going = new Map<number, number>(); // bytes by part

	constructor(bucket: string, key: string, file: File, told: (sent: number) => void) {
		this.#bucket = bucket;
		this.#key = key;
		this.#file = file;
		this.#told = told;
		this.inParts = file.size > wholeUpTo;
	}

	get #type() {
		return this.#file.type || "application/octet-stream";
	}

	/** Goes on from where it is until the object is written. When the signal ends it, it may be run again. */
	async run(signal: AbortSignal): Promise<void> {
		if (!this.inParts) {
			await send(objectUrl(this.#bucket, { key: this.#key }), this.#file, this.#type, this.#told, signal);
			return;
		}
		const { path, query } = { path: { bucket: this.#bucket }, query: { key: this.#key } };
		if (!this.#upload) {
			this.#upload = (await createUpload({ path, query, body: { content_type: this.#type } })).data.id;
		}
		this.#tell();
		const left = pieces(this.#file.size).filter((p) => !this.#written.has(p.number));
		// One that fails for good ends the others.
		const stop = new AbortController();
		signal.addEventListener("abort", () => stop.abort());
		const worker = async () => {
			for (let p = left.shift(); p && !stop.signal.aborted; p = left.shift()) {
				await this.#part(p, stop.signal);
			}
		};
		try {
			await Promise.all(Array.from({ length: atOnce }, worker));
		} finally {
			stop.abort();
			this.#going.clear();
			this.#tell();
		}
		if (signal.aborted) {
			throw new Refusal(0, "Cancelled");
		}
		const parts = [...this.#written.values()].sort((a, b) => a.number - b.number);
		await again(signal, () => completeUpload({ path: { ...path, upload: this.#upload }, query, body: { parts } }));
		this.#upload = "";
	}

	/** Gives it up: the parts that the server keeps are dropped. */
	async giveUp(): Promise<void> {
		if (this.#upload) {
			await abortUpload({ path: { bucket: this.#bucket, upload: this.#upload }, query: { key: this.#key } });
			this.#upload = "";
			this.#written.clear();
		}
	}

	async #part(p: Piece, signal: AbortSignal) {
		const url = `${apiBase(document.URL)}/api/v1/buckets/${encodeURIComponent(this.#bucket)}/uploads/${encodeURIComponent(this.#upload)}/${p.number}?key=${encodeURIComponent(this.#key)}`;
		const text = await again(signal, () => {
			const told = (sent: number) => {
				this.#going.set(p.number, sent);
				this.#tell();
			};
			return send(url, this.#file.slice(p.from, p.to), "application/octet-stream", told, signal);
		});
		this.#going.delete(p.number);
		this.#written.set(p.number, JSON.parse(text));
		this.#tell();
	}

	#tell() {
		const parts = [...this.#written.values()].map((p) => p.size);
		this.#told([...parts, ...this.#going.values()].reduce((a, b) => a + b, 0));
	}
}

/** Tries again what may succeed the next time. */
async function again<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
	for (let n = 1; ; n++) {
		try {
			return await act();
		} catch (e) {
			const hopeless = e instanceof Refusal && e.status > 0 && e.status < 500;
			if (signal.aborted || hopeless || n === tries) {
				throw e;
			}
			await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** n));
		}
	}
}
