// The console in a real browser, against the built binary with real backends.
// test/e2e/console_test.go starts them and runs this; it says on stdout what it
// shows, and exits with 1 at the first thing that is not as it should be. Acts that do
// not disturb each other run side by side.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { backends } from "./backends.ts";
import { crowd } from "./crowd.ts";
import { files, firstFiles } from "./files.ts";
import { jobs } from "./jobs.ts";
import { members } from "./members.ts";
import { people, shutOut } from "./people.ts";
import { theShow } from "./show.ts";
import { Act, browser, judge, judged, type Look, login, password, press, proxied, root, sees } from "./stage.ts";

const door = new Act("door");

await door.step(
	"a wrong password is refused, by the page itself",
	async () => {
		const [context, page] = await door.open("light");
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
	await door.step(`the login page, ${look}`, async () => {
		const [context, page] = await door.open(look);
		await page.goto(root);
		await page.getByLabel("Login").waitFor();
		await judge(page, `login-${look}`);
		await context.close();
	});
}

const [context, page] = await door.enter("light", "root", password);

await door.step("the overview: everything is safe, and few bytes say so", async () => {
	await sees(page, "Everything is safe");
	await sees(page, "All 3 backends have what they should.");
	const view = await page.evaluate(() =>
		(performance.getEntries() as PerformanceResourceTiming[])
			.filter((e) => e.encodedBodySize > 0 && !/\/(api|metrics)/.test(e.name))
			.reduce((sum, e) => sum + e.encodedBodySize, 0),
	);
	console.log(`   login page and overview, charts too: ${Math.round(view / 1000)} kB`);
	assert.ok(view > 100_000 && view <= 250_000, `the first view is ${view} bytes`);
});

await door.step("scripts cannot see the session", async () => {
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

await door.step("a session outlives a reload, and two tabs share it", async () => {
	await page.reload();
	await sees(page, "Everything is safe");
	const first = await page.evaluate(() => Math.round(performance.now()));
	console.log(`   reloaded, with the first state drawn: ${first} ms`); // measured, not asserted
	const other = door.watch(await context.newPage());
	await other.goto(root);
	await sees(other, "Everything is safe");
	await other.close();
});

await door.step("by keyboard: past the navigation, and through it", async () => {
	await page.goto(`${root}#/users`);
	await page.getByRole("heading", { name: "Users" }).waitFor();
	await page.getByRole("button", { name: "Skip to the content" }).focus();
	await page.keyboard.press("Enter");
	assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
	await page.getByRole("link", { name: "Objects" }).focus();
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Objects" }).waitFor();
});

// What waits for something runs beside what is busy; what would disturb each other, one after the other.
const shown = theShow(); // has a service of its own
const crowded = crowd(password); // as do its answers
const written = await firstFiles(password);
const filed = files(written);
const [key] = await Promise.all([people(password), filed, jobs(password, filed), members(password), shown, crowded]);
// What does not change while backends come and go, and what does.
const still: readonly Stop[] = [
	["history", "history", "Signed in"],
	["users", "users", "ann"],
	["account", "account", "S3MIRROR_ROOT_PASSWORD"],
];
const calm: readonly Stop[] = [
	["overview", "overview", "Everything is safe"],
	["objects", "objects", "photos"],
	["bucket", "objects/photos", "readme.txt"],
	["replication", "replication", "Every write goes to all"],
];
const looks = ["light", "dark", "phone"] as const;
await Promise.all([backends(password), ...looks.map((look) => tour(look, still, (p) => oneUser(p, look, key)))]);
await Promise.all([
	...looks.map((look) => tour(look, calm, (p) => oneJob(p, look))),
	shutOut(password),
	belowAPath(),
	leave(),
]);

type Stop = readonly [name: string, path: string, text: string];

/** Every page, in one look. */
async function tour(look: Look, stops: readonly Stop[], then: (page: Page) => Promise<void>) {
	const act = new Act(`tour, ${look}`);
	const [c, p] = await act.enter(look, "root", password);
	for (const [name, path, text] of stops) {
		await act.step(`${name}, ${look}`, async () => {
			await p.goto(`${root}#/${path}`);
			await sees(p.getByRole("main"), text);
			if (name === "overview") {
				await p.locator(".uplot").first().waitFor();
			}
			await judge(p, `${name}-${look}`);
		});
	}
	await act.step(`and more, ${look}`, () => then(p));
	await c.close();
}

async function oneUser(p: Page, look: Look, key: string) {
	if (look === "phone") {
		await press(p, "Open the menu");
		await p.getByRole("link", { name: "Users" }).waitFor();
		await judge(p, "menu-phone");
	}
	if (look === "dark") {
		await p.goto(`${root}#/users`);
		await press(p, "ann");
		await p.getByRole("dialog", { name: "ann" }).getByText(key).waitFor();
		await judge(p, "user-dark");
	}
}

async function oneJob(p: Page, look: Look) {
	if (look !== "light") {
		await p.goto(`${root}#/replication`);
		await press(p, "Deep scrub of photos");
		await sees(p.getByRole("dialog"), "photos/scan-05.bin");
		await judge(p, `job-${look}`);
	}
}

async function belowAPath() {
	const act = new Act("proxy");
	await act.step("below a path of a proxy", async () => {
		const [c, p] = await act.enter("light", "root", password, proxied);
		await sees(p, "Everything is safe");
		assert.deepEqual(
			(await c.cookies()).map((k) => k.path),
			[`${new URL(proxied).pathname}api/v1/auth`],
		);
		await p.reload();
		await sees(p, "Everything is safe");
		await c.close();
	});
}

async function leave() {
	await door.step(
		"signed out in one tab is signed out in all",
		async () => {
			const other = door.watch(await context.newPage());
			await other.goto(`${root}#/overview`);
			await sees(other, "Everything is safe");
			await press(page, "Sign out");
			await page.getByRole("button", { name: "Sign in" }).waitFor();
			await other.getByRole("button", { name: "Sign in" }).waitFor();
			assert.deepEqual(await context.cookies(), []);
		},
		/401/,
	); // what a tab asks for before it hears of that
}

console.log(`   axe has judged ${judged.count} pages in ${Math.round(judged.ms / 1000)} s of their time`);
await browser.close();
console.log("the console does what it says");
