// The objects of a folder, as far as one looks.
import { useQueries } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type ListPage, read, unread, wanted } from "../words/pages";
import { listObjects } from "./gen/sdk.gen";
import type { ObjectEntry } from "./gen/types.gen";

export type Row = { folder: string } | { object: ObjectEntry };

const limit = 1000; // rows of a page

/** The rows from first to last, and what is known of the list. */
export function useListing(bucket: string, prefix: string, first: number, last: number) {
	const [pages, setPages] = useState<readonly ListPage[]>(unread);
	const seen = wanted(pages, first, last, limit / 2);
	const results = useQueries({
		queries: seen.map(({ page }) => {
			const start = pages[page]?.start;
			return {
				queryKey: ["objects", bucket, prefix, start ?? ""],
				queryFn: async () => {
					const query = { prefix: prefix || undefined, delimiter: "/", limit, cursor: start };
					const { prefixes, objects, cursor } = (await listObjects({ path: { bucket }, query })).data;
					const rows: Row[] = [...prefixes.map((folder) => ({ folder })), ...objects.map((object) => ({ object }))];
					return { rows, cursor };
				},
				gcTime: 30_000, // what is scrolled past is let go
				// What lags changes by itself.
				refetchInterval: (q: { state: { data?: { rows: Row[] } } }) =>
					q.state.data?.rows.some((r) => "object" in r && waits(r.object)) ? 3_000 : 20_000,
			};
		}),
	});
	useEffect(() => {
		let next = pages;
		for (const [i, { page }] of seen.entries()) {
			const data = results[i]?.data;
			next = data ? read(next, page, data.rows.length, data.cursor) : next;
		}
		if (next !== pages) {
			setPages(next);
		}
	});
	return {
		pages,
		rowAt: (n: number): Row | undefined => {
			const at = seen.findLastIndex(({ row }) => row <= n);
			return results[at]?.data?.rows[n - (seen[at]?.row ?? 0)];
		},
		pending: results[0]?.isPending ?? true,
		fetching: results.some((r) => r.isPending),
		error: results.find((r) => r.error)?.error ?? null,
		again: () => results.forEach((r) => void r.refetch()),
	};
}

const waits = (o: ObjectEntry) => Object.values(o.replicas).some((r) => r !== "current");
