// How a file is cut for an upload in parts.

const mebi = 1 << 20;

/** A file up to this size goes in one piece. */
export const wholeUpTo = 32 * mebi;

const least = 16 * mebi; // S3 asks for 5 MiB; larger parts cost fewer requests
const most = 9_000; // parts; S3 allows 10,000

/** The size of a file's parts in bytes, whole MiB. */
export const partSize = (size: number): number => Math.max(least, Math.ceil(size / most / mebi) * mebi);

export type Piece = { number: number; from: number; to: number };

/** The parts of a file, numbered from 1; to is exclusive. */
export function pieces(size: number): Piece[] {
	const step = partSize(size);
	return Array.from({ length: Math.max(1, Math.ceil(size / step)) }, (_, i) => ({
		number: i + 1,
		from: i * step,
		to: Math.min(size, (i + 1) * step),
	}));
}
