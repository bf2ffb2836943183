// A long list by its pages, of which only those are held that are looked at.

/** One page: the cursor that it begins at, and how many rows it had when it was last read; undefined: not yet. */
export type ListPage = { start: string | undefined; count: number | undefined };

/** A list of which nothing is known. */
export const unread: readonly ListPage[] = [{ start: undefined, count: undefined }];

export const rowsOf = (pages: readonly ListPage[]): number => pages.reduce((sum, p) => sum + (p.count ?? 0), 0);

/** Whether there is a page that was not read yet. */
export const goesOn = (pages: readonly ListPage[]): boolean => pages.at(-1)?.count === undefined;

/** The list once page i was read: what comes behind it may begin elsewhere now, or be no more. */
export function read(
	pages: readonly ListPage[],
	i: number,
	count: number,
	next: string | undefined,
): readonly ListPage[] {
	const page = pages[i];
	const after = pages[i + 1];
	if (page && page.count === count && after?.start === next && (after !== undefined) === (next !== undefined)) {
		return pages;
	}
	const before = pages.slice(0, i).concat({ start: page?.start, count });
	if (next === undefined) {
		return before;
	}
	return before.concat({ start: next, count: after?.count }, pages.slice(i + 2));
}

/** The pages that hold the rows from first to last, and where each begins; the one that was not read yet where they come near it. */
export function wanted(
	pages: readonly ListPage[],
	first: number,
	last: number,
	near: number,
): { page: number; row: number }[] {
	const found: { page: number; row: number }[] = [];
	let row = 0;
	for (const [page, { count }] of pages.entries()) {
		const end = row + (count ?? near);
		if (
			count === undefined
				? last + near >= row
				: row < Math.max(last, 1) && (end > first || (count === 0 && row >= first))
		) {
			found.push({ page, row });
		}
		row = end;
	}
	return found;
}
