// Puts what vite built into the folder that the Go program embeds, or (--check) tells
// whether that folder is what vite has built now. Texts are kept in both compressed forms
// and not as they are. What is compared is what they hold: a compressor's bytes may differ
// from machine to machine.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";

const built = join(import.meta.dirname, "../dist");
const embedded = join(import.meta.dirname, "../../internal/web/dist");
const firstView = 250_000; // bytes, compressed

const files = (root: string): string[] =>
	readdirSync(root, { recursive: true, withFileTypes: true })
		.filter((e) => e.isFile())
		.map((e) => relative(root, join(e.parentPath, e.name)))
		.sort();

const isText = (name: string) => [".js", ".css", ".svg", ".md"].includes(extname(name));

/** The forms of one file, by name. */
function forms(name: string): [string, Buffer][] {
	const raw = readFileSync(join(built, name));
	if (!isText(name)) {
		return [[name, raw]];
	}
	const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
	return [
		[`${name}.br`, brotliCompressSync(raw, { params })],
		[`${name}.gz`, gzipSync(raw, { level: 9 })],
	];
}

function write() {
	rmSync(embedded, { recursive: true, force: true });
	for (const name of files(built)) {
		for (const [form, bytes] of forms(name)) {
			mkdirSync(dirname(join(embedded, form)), { recursive: true });
			writeFileSync(join(embedded, form), bytes);
		}
	}
}

function check(): string[] {
	const wrong: string[] = [];
	const wanted = new Set<string>();
	for (const name of files(built)) {
		const raw = readFileSync(join(built, name));
		for (const form of isText(name) ? [`${name}.br`, `${name}.gz`] : [name]) {
			wanted.add(form);
			let kept: Buffer;
			try {
				kept = readFileSync(join(embedded, form));
			} catch {
				wrong.push(`${form} is missing`);
				continue;
			}
			const unpack = { ".br": brotliDecompressSync, ".gz": gunzipSync }[extname(form)];
			if (!(unpack ? unpack(kept) : kept).equals(raw)) {
				wrong.push(`${form} is not what the sources make`);
			}
		}
	}
	return wrong.concat(
		files(embedded)
			.filter((name) => !wanted.has(name))
			.map((name) => `${name} is left over`),
	);
}

/** What a browser loads before it shows a first page: the page, its scripts and styles, the font, and the page's own. */
function weight(ending: string): number {
	const index = readFileSync(join(embedded, "index.html"), "utf8");
	const all = files(embedded);
	const sizes = (names: string[]) => names.map((n) => statSync(join(embedded, n)).size);
	const named = all.filter((n) => n.endsWith(ending) && index.includes(basename(n, ending)));
	const lazy = all.filter((n) => n.endsWith(`.js${ending}`) && !index.includes(basename(n, ending)));
	const fonts = all.filter((n) => n.endsWith(".woff2"));
	return index.length + [...sizes(named), ...sizes(fonts), Math.max(0, ...sizes(lazy))].reduce((a, b) => a + b, 0);
}

if (process.argv.includes("--check")) {
	const wrong = check();
	for (const w of wrong) {
		console.error(`internal/web/dist: ${w}`);
	}
	if (wrong.length > 0) {
		console.error("run make web, and commit what it makes");
		process.exit(1);
	}
} else {
	write();
}
const [br, gz] = [weight(".br"), weight(".gz")];
console.log(
	`console: the first view is ${Math.round(br / 1000)} kB with brotli, ${Math.round(gz / 1000)} kB with gzip`,
);
if (br > firstView) {
	console.error(`more than ${firstView / 1000} kB`);
	process.exit(1);
}
