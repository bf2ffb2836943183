// The console in a real browser, against the built binary with real backends.
// test/e2e/console_test.go starts them and runs this; it says on stdout what it
// shows, and exits with 1 at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Locator, type Page, type Request } from "playwright-core";

const need = (name: string) => process.env[name] ?? assert.fail(`${name} is not set`);
const root = need("CONSOLE_URL"); // ends in a slash
const proxied = need("CONSOLE_PROXIED_URL"); // the same below a path of a proxy
const control = need("CONSOLE_CONTROL"); // kills and starts backends, asks S3
const password = need("CONSOLE_PASSWORD"); // of root
const shots = need("CONSOLE_SHOTS"); // folder of the pictures
const axe = readFileSync(join(import.meta.dirname, "../node_modules/axe-core/axe.min.js"), "utf8");
mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({
	executablePath: need("CONSOLE_CHROMIUM"),
	args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

// What went wrong in any page. A step that provokes a refusal says so.
const complaints: string[] = [];
let allowed: RegExp | undefined;

type Look = "light" | "dark" | "phone";
const looks: Record<Look, Parameters<typeof browser.newContext>[0]> = {
	light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
	dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
	phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
};

const ours = [root, proxied].map((u) => new URL(u).origin);

function watch(page: Page): Page {
	const complain = (text: string) => {
		if (!allowed?.test(text)) {
			complaints.push(text);
		}
	};
	page.setDefaultTimeout(20_000);
	page.on("console", (m) => ["error", "warning"].includes(m.type()) && complain(`console: ${m.text()}`));
	page.on("pageerror", (e) => complain(`page error: ${e.message}`));
	// What a page asks for again and again is given up when the page is left: no failure.
	const givenUp = (r: Request) => r.method() === "GET" && r.failure()?.errorText === "net::ERR_ABORTED";
	page.on("requestfailed", (r) => givenUp(r) || complain(`failed: ${r.method()} ${r.url()} ${r.failure()?.errorText}`));
	page.on(
		"response",
		(r) => r.status() >= 400 && complain(`answered ${r.status()}: ${r.request().method()} ${r.url()}`),
	);
	page.on("request", (r) => {
		const url = new URL(r.url());
		if (!["blob:", "data:"].includes(url.protocol) && !ours.includes(url.origin)) {
			complaints.push(`another host is asked: ${r.url()}`);
		}
	});
	return page;
}

let current: Page | undefined; // where a failure takes its picture

async function step(name: string, act: () => Promise<void>, refusals?: RegExp) {
	allowed = refusals;
	try {
		await act();
		assert.deepEqual(complaints, [], "the browser complains");
	} catch (e) {
		console.log(`FAILED ${name}`, complaints);
		await current?.screenshot({ path: join(shots, "failed.png") }).catch(() => undefined);
		throw e;
	}
	console.log(`ok ${name}`);
}

/** Text that comes by itself: no reload, no click. */
const sees = (where: Page | Locator, text: string | RegExp) =>
	where.getByText(text).first().waitFor({ state: "visible", timeout: 30_000 });

const fill = async (where: Page | Locator, label: string, value: string) =>
	where.getByLabel(label, { exact: true }).first().fill(value);
const press = async (where: Page | Locator, name: string | RegExp) =>
	where
		.getByRole("button", { name, exact: typeof name === "string" })
		.first()
		.click();

async function login(page: Page, user: string, secret: string) {
	await fill(page, "Login", user);
	await fill(page, "Password", secret);
	await press(page, "Sign in");
}

async function open(look: Look): Promise<[BrowserContext, Page]> {
	const context = await browser.newContext(looks[look]);
	current = watch(await context.newPage());
	return [context, current];
}

async function enter(look: Look, user: string, secret: string, at = root): Promise<[BrowserContext, Page]> {
	const [context, page] = await open(look);
	await page.goto(at);
	await login(page, user, secret);
	await page.locator(".nav-link").first().waitFor({ state: "attached" });
	return [context, page];
}

/** WCAG 2.2 AA as far as axe can tell, nothing that sticks out, and a picture. */
async function judge(page: Page, name: string) {
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
	// The page's policy lets no script in from outside, so axe comes by the debugger.
	const session = await page.context().newCDPSession(page);
	await session.send("Runtime.evaluate", { expression: axe });
	const { result } = await session.send("Runtime.evaluate", {
		expression: `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((r) => JSON.stringify({
			checked: r.passes.length,
			found: r.violations.map((v) => v.impact + " " + v.id + ": " + v.nodes.map((n) => n.target + " " + (n.any[0]?.message ?? "")).join(" | "))}))`,
		awaitPromise: true,
		returnByValue: true,
	});
	await session.detach();
	const { checked, found } = JSON.parse(String(result.value));
	assert.ok(checked > 5, `${name}: axe has looked at ${checked} rules only`);
	assert.deepEqual(found, [], `${name}: axe`);
	await page.screenshot({ path: join(shots, `${name}.png`) });
}

async function ask(path: string): Promise<string> {
	const answer = await fetch(`${control}${path}`, { method: "POST" });
	const text = await answer.text();
	assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
	return text;
}

const folder = mkdtempSync(join(tmpdir(), "console-"));
/** A file on disk, as one who picks files has. */
function file(name: string, content: string | Buffer): string {
	const path = join(folder, name);
	writeFileSync(path, content);
	return path;
}

const picture = readFileSync(join(import.meta.dirname, "picture.png"));

await step(
	"a wrong password is refused, by the page itself",
	async () => {
		const [context, page] = await open("light");
		await page.goto(root);
		await page.getByLabel("Login").waitFor();
		await judge(page, "login-light");
		await login(page, "root", "a guess");
		await sees(page.getByRole("alert"), "Login or password is wrong");
		await context.close();
	},
	/401/,
);

for (const look of ["dark", "phone"] as const) {
	await step(`the login page, ${look}`, async () => {
		const [context, page] = await open(look);
		await page.goto(root);
		await page.getByLabel("Login").waitFor();
		await judge(page, `login-${look}`);
		await context.close();
	});
}

const [context, page] = await enter("light", "root", password);

await step("the overview: everything is safe", async () => {
	await sees(page, "Everything is safe");
	await sees(page, "All 3 backends are equal.");
	const view = await page.evaluate(() =>
		(performance.getEntries() as PerformanceResourceTiming[])
			.filter((e) => e.encodedBodySize > 0 && !/\/(api|metrics)/.test(e.name))
			.reduce((sum, e) => sum + e.encodedBodySize, 0),
	);
	console.log(`   login page and overview, charts too: ${Math.round(view / 1000)} kB`);
	assert.ok(view > 100_000 && view <= 250_000, `the first view is ${view} bytes`);
});

await step("scripts cannot see the session", async () => {
	const cookies = await context.cookies();
	assert.deepEqual(
		cookies.map((c) => [c.name, c.httpOnly, c.sameSite, c.path]),
		[["s3mirror_session", true, "Strict", "/api/v1/auth"]],
	);
	const kept = await page.evaluate(() =>
		[document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)].join(),
	);
	assert.ok(!/eyJ|s3mr_/.test(kept), kept);
});

await step("a session outlives a reload, and two tabs share it", async () => {
	await page.reload();
	await sees(page, "Everything is safe");
	const other = watch(await context.newPage());
	await other.goto(root);
	await sees(other, "Everything is safe");
	await other.close();
});

await step("by keyboard: past the navigation, and through it", async () => {
	await page.goto(`${root}#/users`);
	await page.getByRole("heading", { name: "Users" }).waitFor();
	await page.getByRole("button", { name: "Skip to the content" }).focus();
	await page.keyboard.press("Enter");
	assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
	await page.getByRole("link", { name: "Objects" }).focus();
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Objects" }).waitFor();
});

await step("a bucket is made", async () => {
	await sees(page, "No buckets yet");
	await judge(page, "objects-none-light");
	await press(page, "New bucket");
	await fill(page.getByRole("dialog"), "Name", "photos");
	await press(page, "Make the bucket");
	await page.getByRole("link", { name: "photos" }).click();
	await sees(page, "This bucket is empty");
});

await step("many files and a large one are uploaded", async () => {
	await page
		.getByLabel("Files to upload")
		.setInputFiles([
			file("readme.txt", "kept on every backend\n".repeat(2000)),
			file("harbour.png", picture),
			...Array.from({ length: 12 }, (_, i) =>
				file(`scan-${String(i + 1).padStart(2, "0")}.bin`, Buffer.alloc(100_000 + 31_000 * i, i)),
			),
			file("large.bin", Buffer.alloc(40_000_000, 7)),
		]);
	await sees(page, "15 of 15 written");
	await page.getByRole("button", { name: "large.bin", exact: true }).waitFor();
	await sees(page, "15 entries");
	await judge(page, "uploaded-light");
	await press(page, "Clear");
});

await step(
	"an upload is cancelled on its way, and tried again",
	async () => {
		const session = await context.newCDPSession(page);
		const pace = (uploadThroughput: number) =>
			session.send("Network.emulateNetworkConditions", {
				offline: false,
				latency: 0,
				downloadThroughput: -1,
				uploadThroughput,
			});
		await pace(1_000_000);
		await page.getByLabel("Files to upload").setInputFiles([file("slow.bin", Buffer.alloc(20_000_000, 1))]);
		await page.getByText(/^[1-9].* of 19 MiB$/).waitFor();
		await page.screenshot({ path: join(shots, "uploading-light.png") });
		await press(page, "Cancel slow.bin");
		await sees(page, "cancelled");
		await pace(-1);
		await press(page, "Upload slow.bin again");
		await sees(page, "1 of 1 written");
		await page.getByRole("button", { name: "slow.bin", exact: true }).waitFor();
		await press(page, "Clear");
	},
	/ERR_ABORTED/,
);

await step("text and pictures are previewed", async () => {
	for (const [name, what] of [
		["readme.txt", ".preview-text"],
		["harbour.png", ".preview-picture"],
	] as const) {
		await press(page, name);
		const drawer = page.getByRole("dialog");
		await drawer.locator(what).waitFor();
		await drawer.getByText("acked").first().waitFor();
		await judge(page, `object-${name.replace(".", "-")}-light`);
		await press(drawer, "Close");
		await drawer.waitFor({ state: "detached" });
	}
});

await step("an object is downloaded as it was written", async () => {
	await press(page, "harbour.png");
	const download = page.waitForEvent("download");
	await press(page.getByRole("dialog"), "Download");
	const got = await download;
	assert.equal(got.suggestedFilename(), "harbour.png");
	assert.ok(readFileSync(await got.path()).equals(picture));
	await press(page.getByRole("dialog"), "Close");
});

await step("an object is deleted, after a question", async () => {
	await press(page, "scan-12.bin");
	await press(page.getByRole("dialog"), "Delete");
	await press(page, "Keep it");
	await press(page.getByRole("dialog"), "Delete");
	await sees(page, "Delete this object?");
	await press(page, "Delete it everywhere");
	await page.getByRole("button", { name: "scan-12.bin", exact: true }).waitFor({ state: "detached" });
	assert.match(await ask("/get?bucket=photos&key=scan-12.bin"), /^404/);
});

await step("names are searched by how they begin", async () => {
	await fill(page, "Names that begin with", "scan-0");
	await sees(page, "9 entries");
	await fill(page, "Names that begin with", "nothing");
	await sees(page, "No name begins so");
	await fill(page, "Names that begin with", "");
	await page.getByRole("button", { name: "readme.txt", exact: true }).waitFor();
});

await step("a backend is killed while one looks", async () => {
	await page.goto(`${root}#/overview`);
	await sees(page, "Everything is safe");
	await page.locator(".uplot").first().waitFor();
	await ask("/kill?backend=b-2");
	for (let i = 1; i <= 8; i++) {
		await ask(`/put?bucket=photos&key=while-down-${i}.txt`); // writes that fail there open its breaker
	}
	await sees(page, "b-2 is down");
	await sees(page, "Open alarms");
	await judge(page, "overview-down-light");
	await page.goto(`${root}#/objects/photos?prefix=while`);
	await sees(page, "b-2 lagging");
	await judge(page, "objects-lagging-light");
	await ask("/start?backend=b-2");
	await page.getByText("b-2 lagging").first().waitFor({ state: "detached", timeout: 60_000 });
	await page.goto(`${root}#/overview`);
	await sees(page, "Everything is safe");
});

await step("a backend is paused and resumed", async () => {
	await page.goto(`${root}#/replication`);
	await press(page, "Pause b-3");
	await judge(page, "pause-light");
	await press(page.getByRole("dialog"), "Pause b-3");
	await sees(page, "paused");
	await sees(page, /^until /);
	await press(page, "Resume b-3");
	await page.getByText("paused", { exact: true }).waitFor({ state: "detached", timeout: 60_000 });
});

await step("the pace of heals is set, and brought back", async () => {
	await press(page, "Pace of b-1");
	await fill(page.getByRole("dialog"), "MiB a second", "10");
	await press(page.getByRole("dialog"), "Set");
	await sees(page, "10 MiB/s");
	await press(page, "Pace of b-1");
	await press(page.getByRole("dialog"), "As configured");
	await page.getByText("10 MiB/s").waitFor({ state: "detached" });
});

await step("replication is disabled, which everything tells, and made active again", async () => {
	await page.getByText("Disabled", { exact: true }).click();
	await sees(page, "Disable replication?");
	await judge(page, "mode-light");
	await press(page.getByRole("dialog"), "Disable");
	await sees(page, "b-1 alone takes writes and is read.");
	await ask("/put?bucket=photos&key=on-one.txt");
	await sees(page, "keys that need work");
	await page.getByRole("dialog").waitFor({ state: "detached" });
	await judge(page, "replication-disabled-light");
	await page.goto(`${root}#/overview`);
	await sees(page, "Replication is disabled");
	await page.goto(`${root}#/replication`);
	await page.getByText("Active", { exact: true }).click();
	await press(page, "Make active");
	await sees(page, "Every write goes to all replicas at once");
	await page.goto(`${root}#/overview`);
	await sees(page, "Everything is safe");
});

await step("history tells what each backend answered, and the audit who came", async () => {
	await page.goto(`${root}#/history`);
	await sees(page, "photos/while-down-1.txt");
	await page.getByText("Audit", { exact: true }).click();
	await sees(page, "beginSession");
	await page.getByText("Writes", { exact: true }).click();
	await fill(page, "Keys that begin with", "readme");
	await page.getByText("photos/while-down-1.txt").first().waitFor({ state: "detached" });
	await sees(page, "photos/readme.txt");
});

let key = { id: "", secret: "" };
await step("a user is made, limited, and given a key that is shown once", async () => {
	await page.goto(`${root}#/users`);
	await press(page, "New user");
	const form = page.getByRole("dialog", { name: "New user" });
	await fill(form, "Login", "ann");
	await fill(form, "Password", "password-of-ann");
	await fill(form, "Buckets", "photos");
	await page.keyboard.press("Enter");
	await fill(form, "File types to write", "txt");
	await page.keyboard.press("Enter");
	await judge(page, "user-new-light");
	await press(form, "Make the user");
	const drawer = page.getByRole("dialog", { name: "ann" });
	await drawer.getByText("No S3 keys yet").waitFor();
	await press(drawer, "New key");
	await press(page, "Make the key");
	await page.locator(".secret-value").first().waitFor();
	const [id, secret] = await page.locator(".secret-value").allTextContents();
	key = { id: id ?? "", secret: secret ?? "" };
	await judge(page, "key-new-light");
	await press(page, "I have kept it");
	await drawer.getByText(key.id).waitFor();
	await page.locator(".secret-value").first().waitFor({ state: "detached" });
	assert.ok(key.secret.length > 20 && !(await page.content()).includes(key.secret), "the secret stays on the page");
	const as = `&id=${encodeURIComponent(key.id)}&secret=${encodeURIComponent(key.secret)}`;
	assert.match(await ask(`/put?bucket=photos&key=by-ann.txt${as}`), /^200/);
	assert.match(await ask(`/put?bucket=photos&key=by-ann.exe${as}`), /^403/);
});

await step("a limit is changed", async () => {
	const drawer = page.getByRole("dialog", { name: "ann" });
	await drawer.getByLabel("Write", { exact: true }).uncheck();
	await press(drawer, "Save");
	await drawer.getByRole("button", { name: "Save", disabled: true }).waitFor();
	await press(drawer, "Close");
	await sees(page, "only read");
});

for (const look of ["light", "dark", "phone"] as const) {
	const [c, p] = look === "light" ? [context, page] : await enter(look, "root", password);
	for (const [name, path, text] of [
		["overview", "overview", "Backends"],
		["objects", "objects", "photos"],
		["bucket", "objects/photos", "readme.txt"],
		["replication", "replication", "Every write goes to all"],
		["history", "history", "acked"],
		["users", "users", "ann"],
		["account", "account", "S3MIRROR_ROOT_PASSWORD"],
	] as const) {
		await step(`${name}, ${look}`, async () => {
			await p.goto(`${root}#/${path}`);
			await sees(p.getByRole("main"), text);
			if (name === "overview") {
				await p.locator(".uplot").first().waitFor();
			}
			await judge(p, `${name}-${look}`);
		});
	}
	if (look === "phone") {
		await step("the menu, phone", async () => {
			await press(p, "Open the menu");
			await p.getByRole("link", { name: "Users" }).waitFor();
			await judge(p, "menu-phone");
		});
	}
	if (look === "dark") {
		await step("one user, dark", async () => {
			await p.goto(`${root}#/users`);
			await press(p, "ann");
			await p.getByRole("dialog", { name: "ann" }).getByText(key.id).waitFor();
			await judge(p, "user-dark");
		});
	}
	if (look !== "light") {
		await c.close();
	}
}

await step("a plain user sees only what is his, and changes his password", async () => {
	const [c, p] = await enter("light", "ann", "password-of-ann");
	await p.getByRole("link", { name: "photos" }).waitFor();
	assert.deepEqual(await p.locator(".nav-link").allTextContents(), ["Objects", "Account"]);
	assert.equal(await p.getByRole("button", { name: "New bucket" }).count(), 0, "who may only read is offered to write");
	await p.goto(`${root}#/account`);
	await p.getByText(key.id).waitFor();
	await judge(p, "account-plain-light");
	await fill(p, "Present password", "password-of-ann");
	await fill(p, "New password", "another-of-ann");
	await press(p, "Change password");
	await sees(p, "The password is changed");
	await p.reload();
	await p.getByText(key.id).waitFor();
	await c.close();
});

await step(
	"what he may not see is refused, in words",
	async () => {
		const [c, p] = await enter("light", "ann", "another-of-ann");
		await p.goto(`${root}#/users`);
		await sees(p, "You may not do that");
		await judge(p, "refused-light");
		await c.close();
	},
	/403/,
);

await step(
	"a user is disabled, and his session ends where he is",
	async () => {
		const [c, p] = await enter("light", "ann", "another-of-ann");
		await p.getByRole("link", { name: "photos" }).waitFor();
		await page.goto(`${root}#/users`);
		await press(page, "ann");
		const drawer = page.getByRole("dialog", { name: "ann" });
		await press(drawer, "Disable");
		await drawer.getByText("Neither password nor keys open anything.").waitFor();
		await p.reload();
		await p.getByRole("button", { name: "Sign in" }).waitFor();
		await c.close();
		await press(drawer, "Close");
		await sees(page, "disabled");
	},
	/401/,
);

await step("below a path of a proxy", async () => {
	const [c, p] = await enter("light", "root", password, proxied);
	await sees(p, "Everything is safe");
	assert.deepEqual(
		(await c.cookies()).map((k) => k.path),
		[`${new URL(proxied).pathname}api/v1/auth`],
	);
	await p.reload();
	await sees(p, "Everything is safe");
	await c.close();
});

await step("signed out in one tab is signed out in all", async () => {
	const other = watch(await context.newPage());
	await other.goto(`${root}#/overview`);
	await sees(other, "Everything is safe");
	await press(page, "Sign out");
	await page.getByRole("button", { name: "Sign in" }).waitFor();
	await other.getByRole("button", { name: "Sign in" }).waitFor();
	assert.deepEqual(await context.cookies(), []);
});

await browser.close();
console.log("the console does what it says");
