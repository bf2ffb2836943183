import { expect, it } from "vitest";
import { limitsInShort, limitsOf, mayDo } from "./user";

const free = { scopes: ["read", "write"] as const, allowed_buckets: [], allowed_ips: [], allowed_extensions: [] };
const bound = {
	scopes: ["read"] as const,
	allowed_buckets: ["photos", "docs/2026/"],
	allowed_ips: ["10.0.0.0/8"],
	allowed_extensions: ["txt", "tar.gz"],
};

it("tells what a user may do", () => {
	expect([["read", "write"], ["read"], ["write"], []].map((scopes) => mayDo({ scopes: scopes as never }))).toEqual([
		"read and write",
		"only read",
		"only write",
		"do nothing",
	]);
});

it("tells limits, and that none limits nothing", () => {
	expect(limitsOf({ ...free, scopes: [...free.scopes] }).map(([, v]) => v)).toEqual(["all", "anywhere", "all"]);
	expect(limitsOf({ ...bound, scopes: [...bound.scopes] }).map(([, v]) => v)).toEqual([
		"photos, docs/2026/",
		"10.0.0.0/8",
		".txt, .tar.gz",
	]);
	expect(limitsInShort({ ...free, scopes: [...free.scopes] })).toBe("none");
	expect(limitsInShort({ ...bound, scopes: [...bound.scopes] })).toBe(
		"photos, docs/2026/ · from 10.0.0.0/8 · .txt .tar.gz",
	);
});
