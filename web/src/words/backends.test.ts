import { expect, test } from "vitest";
import { backendChange, findings, findingsInShort, levelWords, mixesUp, newBackend, noDraft } from "./backends";

const draft = { ...noDraft, name: " eu-4 ", endpoint: "https://s3.example.org/", key: "AK", secret: " s\n" };

test("what a form leaves empty is not sent", () => {
	expect(newBackend(draft)).toEqual({
		name: "eu-4",
		endpoint: "https://s3.example.org",
		access_key_id: "AK",
		secret_access_key: "s",
	});
	expect(backendChange(noDraft)).toEqual({});
});

test("how buckets are addressed is sent once it was chosen", () => {
	expect(newBackend({ ...draft, addressing: "host" }).path_style).toBe(false);
	expect(backendChange({ ...noDraft, addressing: "path", region: "eu-west-1", storageClass: "COLD" })).toEqual({
		path_style: true,
		region: "eu-west-1",
		storage_class: "COLD",
	});
});

test("a level that is not known is none to rely on", () => {
	expect(levelWords("F0").tone).toBe("good");
	expect(levelWords("refused").tone).toBe("bad");
	expect(levelWords("F9").tone).toBe("bad");
});

test("what is unsafe or unknown comes first", () => {
	const probe = {
		level: "F0",
		payload_mode: "auto",
		taken: "2026-11-28T12:00:00Z",
		reasons: [],
		probes: [
			{ name: "a", result: "yes" },
			{ name: "b", result: "no" },
			{ name: "d", result: "unsafe" },
			{ name: "c", result: "unknown" },
			{ name: "e", result: "yes" },
		],
	};
	expect(mixesUp(probe)).toBe(false);
	expect(mixesUp({ ...probe, probes: [{ name: "key-dot-segment", result: "unsafe" }] })).toBe(true);
	expect(findings(probe).map((f) => f.name)).toEqual(["d", "c", "b", "a", "e"]);
	expect(findingsInShort(probe)).toBe("5 findings: 2 yes, 1 no, 1 unknown, 1 unsafe");
});
