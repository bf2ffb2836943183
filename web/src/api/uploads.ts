// The uploads of this page. They go on whichever part of the console one looks at.
import { useSyncExternalStore } from "react";
import { Transfer } from "./transfer";

export type Upload = {
	id: number;
	bucket: string;
	key: string;
	file: File;
	sent: number; // bytes
	speed: number; // bytes a second since it was last let go
	state: "waiting" | "going" | "paused" | "done" | "failed" | "cancelled";
	why: string;
};

const atOnce = 3; // files

class Uploads {
	#list: readonly Upload[] = [];
	#readers = new Set<() => void>();
	#transfers = new Map<number, Transfer>();
	#stops = new Map<number, AbortController>();
	#starts = new Map<number, { at: number; from?: number }>(); // of those that go: when, and with how much
	#lastId = 0;
	#drawing = false;
	/** Called when an object was written. */
	written: (bucket: string) => void = () => undefined;

	subscribe = (reader: () => void) => {
		this.#readers.add(reader);
		return () => {
			this.#readers.delete(reader);
		};
	};
	list = () => this.#list;

	#set(list: readonly Upload[]) {
		this.#list = list;
		const busy = list.some((u) => u.state === "going" || u.state === "waiting" || u.state === "paused");
		window.removeEventListener("beforeunload", ask);
		if (busy) {
			window.addEventListener("beforeunload", ask);
		}
		// Progress comes in hundreds of pieces a second.
		if (!this.#drawing) {
			this.#drawing = true;
			setTimeout(() => {
				this.#drawing = false;
				for (const r of this.#readers) {
					r();
				}
			}, 50);
		}
	}

	#change(id: number, c: Partial<Upload>) {
		this.#set(this.#list.map((u) => (u.id === id ? { ...u, ...c } : u)));
	}

	add(bucket: string, folder: string, files: { name: string; file: File }[]) {
		const more = files.map(({ name, file }) => ({
			id: ++this.#lastId,
			bucket,
			key: folder + name,
			file,
			sent: 0,
			speed: 0,
			state: "waiting" as const,
			why: "",
		}));
		this.#set([...this.#list, ...more]);
		this.#next();
	}

	/** Lets go of what waits, as far as there is room. */
	#next() {
		const going = this.#list.filter((u) => u.state === "going").length;
		for (const u of this.#list.filter((u) => u.state === "waiting").slice(0, Math.max(0, atOnce - going))) {
			void this.#go(u);
		}
	}

	async #go(u: Upload) {
		const stop = new AbortController();
		let transfer = this.#transfers.get(u.id);
		if (!transfer) {
			transfer = new Transfer(u.bucket, u.key, u.file, (sent) => this.#told(u.id, sent));
			this.#transfers.set(u.id, transfer);
		}
		this.#starts.set(u.id, { at: Date.now() });
		this.#stops.set(u.id, stop);
		this.#change(u.id, { state: "going", why: "", speed: 0 });
		try {
			await transfer.run(stop.signal);
			this.#change(u.id, { state: "done", sent: u.file.size });
			this.written(u.bucket);
		} catch (e) {
			if (!stop.signal.aborted) {
				this.#change(u.id, { state: "failed", why: e instanceof Error ? e.message : String(e) });
			}
		} finally {
			this.#starts.delete(u.id);
			this.#next();
		}
	}

	#told(id: number, sent: number) {
		const start = this.#starts.get(id);
		if (start) {
			start.from ??= sent;
			const seconds = (Date.now() - start.at) / 1000;
			this.#change(id, { sent, speed: seconds > 0.5 ? Math.max(0, sent - start.from) / seconds : 0 });
		}
	}

	pause(u: Upload) {
		this.#change(u.id, { state: "paused", speed: 0 });
		this.#stops.get(u.id)?.abort();
		this.#next();
	}

	/** Goes on with one that is paused or failed, or begins one that was cancelled anew. */
	resume(u: Upload) {
		this.#change(u.id, { state: "waiting", why: "", sent: u.state === "cancelled" ? 0 : u.sent });
		this.#next();
	}

	pauseAll(bucket: string) {
		for (const u of this.#list.filter((u) => u.bucket === bucket && (u.state === "going" || u.state === "waiting"))) {
			this.pause(u);
		}
	}

	resumeAll(bucket: string) {
		for (const u of this.#list.filter((u) => u.bucket === bucket && u.state === "paused")) {
			this.resume(u);
		}
	}

	async cancel(u: Upload) {
		const transfer = this.#transfers.get(u.id);
		this.#change(u.id, { state: "cancelled", speed: 0 });
		this.#stops.get(u.id)?.abort();
		this.#transfers.delete(u.id);
		this.#next();
		// What cannot be dropped now, the server drops when it is old enough.
		await transfer?.giveUp().catch(() => undefined);
	}

	clear() {
		const over = (u: Upload) => u.state === "done" || u.state === "failed" || u.state === "cancelled";
		for (const u of this.#list.filter(over)) {
			void this.#transfers
				.get(u.id)
				?.giveUp()
				.catch(() => undefined);
			this.#transfers.delete(u.id);
			this.#stops.delete(u.id);
		}
		this.#set(this.#list.filter((u) => !over(u)));
	}
}

const ask = (e: BeforeUnloadEvent) => e.preventDefault();

export const uploads = new Uploads();

export const useUploads = () => useSyncExternalStore(uploads.subscribe, uploads.list);
