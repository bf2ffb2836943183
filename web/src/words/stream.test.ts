import { expect, it } from "vitest";
import { EventReader, pauseBefore } from "./stream";

it("reads events wherever the network cuts them", () => {
	const text = 'event: status\ndata: {"a":1}\n\n: still here\n\nevent: audit\ndata: {"b":2}\n\n';
	for (let cut = 0; cut <= text.length; cut++) {
		const reader = new EventReader();
		expect([...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))]).toEqual([
			{ event: "status", data: '{"a":1}' },
			{ event: "audit", data: '{"b":2}' },
		]);
	}
});

it("keeps what is not whole, and takes what has no name", () => {
	const reader = new EventReader();
	expect(reader.push("data: 1\ndata: 2\n")).toEqual([]);
	expect(reader.push("\n")).toEqual([{ event: "message", data: "1\n2" }]);
});

it("waits longer each time, up to a quarter of a minute", () => {
	expect([1, 2, 3, 4, 5, 9].map(pauseBefore)).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
});
