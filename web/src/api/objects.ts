// Objects have bodies, which the generated client would hold in memory, and keys that
// need not be UTF-8, which it cannot name.
import { apiBase, Refusal, refusalOf, unreachable } from "../session/session";
import { session } from "./client";
import type { Object as Obj } from "./gen/types.gen";

/** A key, and its exact form when it is not UTF-8. */
export type Named = { key: string; key_encoded?: string };

/** Where the API has an object. */
export const objectUrl = (bucket: string, o: Named, query = ""): string =>
	`${apiBase(document.URL)}/api/v1/buckets/${encodeURIComponent(bucket)}/objects/${o.key_encoded ?? encodeURIComponent(o.key)}${query}`;

async function ask(url: string, init?: RequestInit): Promise<Response> {
	const answer = await session.fetch(url, init);
	if (!answer.ok) {
		throw await refusalOf(answer);
	}
	return answer;
}

export const describe = async (bucket: string, o: Named): Promise<Obj> => (await ask(objectUrl(bucket, o))).json();

export const remove = (bucket: string, o: Named) => ask(objectUrl(bucket, o), { method: "DELETE" });

export const content = (bucket: string, o: Named, headers?: HeadersInit) =>
	ask(objectUrl(bucket, o, "?download=true"), { headers });

/** Saves an object where the browser saves files. Where it lets a page write one, nothing is held in memory. */
export async function save(bucket: string, o: Named): Promise<void> {
	const name = o.key.split("/").filter(Boolean).at(-1) ?? "object";
	const pick = (window as { showSaveFilePicker?: (o: object) => Promise<FileSystemFileHandle> }).showSaveFilePicker;
	if (pick && !navigator.webdriver) {
		let file: FileSystemFileHandle;
		try {
			file = await pick({ suggestedName: name });
		} catch {
			return; // he thought better of it
		}
		const answer = await content(bucket, o);
		await answer.body?.pipeTo(await file.createWritable());
		return;
	}
	const url = URL.createObjectURL(await (await content(bucket, o)).blob());
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Sends a body. told hears how many bytes have gone; the signal ends it. Only XMLHttpRequest tells of progress. */
export async function send(
	url: string,
	body: Blob,
	type: string,
	told: (sent: number) => void,
	signal: AbortSignal,
): Promise<string> {
	const token = await session.token();
	return new Promise((resolve, reject) => {
		if (signal.aborted) {
			reject(new Refusal(0, "Cancelled"));
			return;
		}
		const x = new XMLHttpRequest();
		x.open("PUT", url);
		x.setRequestHeader("Authorization", `Bearer ${token}`);
		x.setRequestHeader("Content-Type", type);
		x.upload.onprogress = (e) => told(e.loaded);
		x.onload = async () => {
			if (x.status === 200) {
				resolve(x.responseText);
			} else {
				reject(await refusalOf(new Response(x.responseText, { status: x.status })));
			}
		};
		x.onerror = () => reject(unreachable());
		x.onabort = () => reject(new Refusal(0, "Cancelled"));
		signal.addEventListener("abort", () => x.abort());
		x.send(body);
	});
}
