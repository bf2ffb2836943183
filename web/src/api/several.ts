// The same act on many things, a few at a time.

export type Failure<T> = { item: T; error: Error };

const atOnce = 4; // a browser opens six connections to one host, and other queries go on

/** Acts on each; told hears after each how many are done. What fails does not keep the rest from it. */
export async function several<T>(
	items: readonly T[],
	act: (item: T) => Promise<unknown>,
	told: (done: number) => void,
): Promise<Failure<T>[]> {
	const failed: Failure<T>[] = [];
	let next = 0;
	let done = 0;
	const work = async () => {
		for (let i = next++; i < items.length; i = next++) {
			const item = items[i] as T;
			try {
				await act(item);
			} catch (e) {
				failed.push({ item, error: e instanceof Error ? e : new Error(String(e)) });
			}
			told(++done);
		}
	};
	await Promise.all(Array.from({ length: atOnce }, work));
	return failed;
}
