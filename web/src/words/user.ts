import type { User } from "../api/gen/types.gen";

type Limits = Pick<User, "scopes" | "allowed_buckets" | "allowed_ips" | "allowed_extensions">;

/** What the scopes of a user let him do. */
export function mayDo({ scopes }: Pick<User, "scopes">): string {
	const read = scopes.includes("read");
	const write = scopes.includes("write");
	return read && write ? "read and write" : read ? "only read" : write ? "only write" : "do nothing";
}

/** Every limit of a user by name; a list that is empty limits nothing. */
export function limitsOf(u: Limits): [string, string][] {
	const listed = (list: string[], all: string) => (list.length === 0 ? all : list.join(", "));
	return [
		["Buckets", listed(u.allowed_buckets, "all")],
		["From", listed(u.allowed_ips, "anywhere")],
		[
			"File types to write",
			listed(
				u.allowed_extensions.map((e) => `.${e}`),
				"all",
			),
		],
	];
}

/** The limits in a few words, for a table. */
export function limitsInShort(u: Limits): string {
	const parts = [
		u.allowed_buckets.length > 0 && u.allowed_buckets.join(", "),
		u.allowed_ips.length > 0 && `from ${u.allowed_ips.join(", ")}`,
		u.allowed_extensions.length > 0 && u.allowed_extensions.map((e) => `.${e}`).join(" "),
	].filter((p) => p !== false);
	return parts.length === 0 ? "none" : parts.join(" · ");
}
