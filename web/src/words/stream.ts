// Server-sent events, as the admin API writes them: an event line, a data line, an empty
// one. A comment, which begins with a colon, says that the stream lives.

export type StreamEvent = { event: string; data: string };

/** Takes a stream's text piece by piece and gives the events that are whole. */
export class EventReader {
	#rest = "";

	push(text: string): StreamEvent[] {
		const blocks = (this.#rest + text).split("\n\n");
		this.#rest = blocks.pop() ?? "";
		return blocks.map(eventOf).filter((e) => e !== undefined);
	}
}

function eventOf(block: string): StreamEvent | undefined {
	let event = "message";
	const data: string[] = [];
	for (const line of block.split("\n")) {
		if (line.startsWith("event:")) {
			event = line.slice(6).trim();
		} else if (line.startsWith("data:")) {
			data.push(line.slice(5).trimStart());
		}
	}
	return data.length > 0 ? { event, data: data.join("\n") } : undefined;
}

/** How long to wait before the n-th attempt to listen again, in ms. */
export const pauseBefore = (attempt: number): number => Math.min(15_000, 1000 * 2 ** Math.max(0, attempt - 1));
