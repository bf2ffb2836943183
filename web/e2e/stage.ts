// What every act of the console's test stands on: a browser, pages that are listened to,
// and the control that does what happens outside of a browser.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Locator, type Page, type Request } from "playwright-core";

const need = (name: string) => process.env[name] ?? assert.fail(`${name} is not set`);
export const root = need("CONSOLE_URL"); // ends in a slash
export const proxied = need("CONSOLE_PROXIED_URL"); // the same below a path of a proxy
export const password = need("CONSOLE_PASSWORD"); // of root
const control = need("CONSOLE_CONTROL"); // kills and starts backends, asks S3
const shots = need("CONSOLE_SHOTS"); // folder of the pictures
const axe = readFileSync(join(import.meta.dirname, "../node_modules/axe-core/axe.min.js"), "utf8");
export const picture = readFileSync(join(import.meta.dirname, "picture.png"));
mkdirSync(shots, { recursive: true });

export const browser = await chromium.launch({
	executablePath: need("CONSOLE_CHROMIUM"),
	args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

export type Look = "light" | "dark" | "phone";
const looks: Record<Look, Parameters<typeof browser.newContext>[0]> = {
	light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
	dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
	phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
};

/** A backend that the service does not know of. */
export const spare: { name: string; addr: string; access: string; secret: string } = JSON.parse(need("CONSOLE_SPARE"));
export const show = need("CONSOLE_DEMO_URL"); // of `s3mirror demo`
export const showPassword = need("CONSOLE_DEMO_PASSWORD");

const ours = [root, proxied, show].map((u) => new URL(u).origin);
const begun = Date.now();

/** One act: what its pages complain of fails its steps and those of no other act that runs beside it. */
export class Act {
	readonly #name: string;
	#complaints: string[] = [];
	#allowed: RegExp | undefined; // what a step provokes
	#current: Page | undefined; // where a failure takes its picture

	constructor(name: string) {
		this.#name = name;
	}

	watch(page: Page): Page {
		this.#current = page;
		const complain = (text: string) => {
			if (!this.#allowed?.test(text)) {
				this.#complaints.push(text);
			}
		};
		page.setDefaultTimeout(40_000);
		page.on("console", (m) => ["error", "warning"].includes(m.type()) && complain(`console: ${m.text()}`));
		page.on("pageerror", (e) => complain(`page error: ${e.message}`));
		// What a page asks for again and again is given up when the page is left: no failure.
		const givenUp = (r: Request) => r.method() === "GET" && r.failure()?.errorText === "net::ERR_ABORTED";
		page.on(
			"requestfailed",
			(r) => givenUp(r) || complain(`failed: ${r.method()} ${r.url()} ${r.failure()?.errorText}`),
		);
		page.on(
			"response",
			(r) => r.status() >= 400 && complain(`answered ${r.status()}: ${r.request().method()} ${r.url()}`),
		);
		page.on("request", (r) => {
			const url = new URL(r.url());
			if (!["blob:", "data:"].includes(url.protocol) && !ours.includes(url.origin)) {
				this.#complaints.push(`another host is asked: ${r.url()}`);
			}
		});
		return page;
	}

	/** refusals are the complaints that the step provokes. */
	async step(name: string, act: () => Promise<void>, refusals?: RegExp) {
		this.#allowed = refusals;
		const start = Date.now();
		try {
			await act();
			assert.deepEqual(this.#complaints, [], "the browser complains");
		} catch (e) {
			console.log(`FAILED ${this.#name}: ${name}`, this.#complaints);
			await this.#current?.screenshot({ path: join(shots, "failed.png") }).catch(() => undefined);
			throw e;
		}
		console.log(
			`ok ${name} (${((Date.now() - start) / 1000).toFixed(1)} s, at ${Math.round((start - begun) / 1000)} s)`,
		);
	}

	async open(look: Look): Promise<[BrowserContext, Page]> {
		const context = await browser.newContext(looks[look]);
		return [context, this.watch(await context.newPage())];
	}

	async enter(look: Look, user: string, secret: string, at = root): Promise<[BrowserContext, Page]> {
		const [context, page] = await this.open(look);
		await page.goto(at);
		await login(page, user, secret);
		await page.locator(".nav-link").first().waitFor({ state: "attached" });
		await page.waitForFunction(() => /^#\/\w/.test(location.hash)); // it goes to a first page by itself
		return [context, page];
	}
}

/** Text that comes by itself: no reload, no click. */
export const sees = (where: Page | Locator, text: string | RegExp, timeout = 60_000) =>
	where.getByText(text).first().waitFor({ state: "visible", timeout });

export const fill = async (where: Page | Locator, label: string, value: string) =>
	where.getByLabel(label, { exact: true }).first().fill(value);

export const press = async (where: Page | Locator, name: string | RegExp) =>
	where
		.getByRole("button", { name, exact: typeof name === "string" })
		.first()
		.click();

/** The button of a row, which bears the object's name. */
export const row = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

export async function login(page: Page, user: string, secret: string) {
	await fill(page, "Login", user);
	await fill(page, "Password", secret);
	await press(page, "Sign in");
}

export const snap = (page: Page, name: string) => page.screenshot({ path: join(shots, `${name}.png`) });

/** How many pages were judged by axe, and how long that took. */
export const judged = { count: 0, ms: 0 };

/** WCAG 2.2 AA as far as axe can tell, nothing that sticks out, and a picture. */
export async function judge(page: Page, name: string) {
	await page.evaluate(async () => {
		await document.fonts.ready;
		// What moves for ever, as a skeleton does, is not waited for.
		const ending = document
			.getAnimations()
			.filter((a) => a.effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY);
		await Promise.all(ending.map((a) => a.finished.catch(() => undefined)));
	});
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
	const start = Date.now();
	// The page's policy lets no script in from outside, so axe comes by the debugger.
	const session = await page.context().newCDPSession(page);
	await session.send("Runtime.evaluate", { expression: `if (!window.axe) {${axe}\n}` });
	const { result } = await session.send("Runtime.evaluate", {
		// Of what is well only the number of rules is kept, which makes it several times faster.
		expression: `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((r) => JSON.stringify({
			checked: r.passes.length,
			found: r.violations.map((v) => v.impact + " " + v.id + ": " + v.nodes.map((n) => n.target + " " + (n.any[0]?.message ?? "")).join(" | "))}))`,
		awaitPromise: true,
		returnByValue: true,
	});
	await session.detach();
	judged.count++;
	judged.ms += Date.now() - start;
	const { checked, found } = JSON.parse(String(result.value));
	assert.ok(checked > 5, `${name}: axe has looked at ${checked} rules only`);
	assert.deepEqual(found, [], `${name}: axe`);
	await snap(page, name);
}

/** Limits what a page may send, in bytes a second; -1: it is not limited. */
export async function slowed(page: Page): Promise<(uploadThroughput: number) => Promise<void>> {
	const session = await page.context().newCDPSession(page);
	return async (uploadThroughput) => {
		await session.send("Network.emulateNetworkConditions", {
			offline: false,
			latency: 0,
			downloadThroughput: -1,
			uploadThroughput,
		});
	};
}

export async function ask(path: string): Promise<string> {
	const answer = await fetch(`${control}${path}`, { method: "POST" });
	const text = await answer.text();
	assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
	return text;
}

const folder = mkdtempSync(join(tmpdir(), "console-"));
/** A file on disk, as one who picks files has. */
export function file(name: string, content: string | Buffer): string {
	const path = join(folder, name);
	writeFileSync(path, content);
	return path;
}

/** A large one, every megabyte of which differs, and its SHA-256. */
export function largeFile(name: string, megabytes: number): [string, string] {
	const path = join(folder, name);
	const f = openSync(path, "w");
	const hash = createHash("sha256");
	for (let i = 0; i < megabytes; i++) {
		const block = Buffer.alloc(1_000_000, `block ${i} `);
		writeSync(f, block);
		hash.update(block);
	}
	closeSync(f);
	return [path, hash.digest("hex")];
}
