// Backends and modes: one is killed while one looks, taken out, slowed down; replication
// is switched off and on.
import type { Page } from "playwright-core";
import { Act, ask, fill, judge, press, root, sees } from "./stage.ts";

const act = new Act("backends");

export async function backends(secret: string) {
	const [context, page] = await act.enter("light", "root", secret);
	await act.step("a backend is killed while one looks, and all of it shows by itself", async () => {
		await page.goto(`${root}#/overview`);
		await sees(page, "Everything is safe");
		await page.getByText("live", { exact: true }).waitFor();
		await page.locator(".uplot").first().waitFor();
		// This page hears of the state by the stream alone.
		const told = act.watch(await context.newPage());
		await told.route(/\/api\/v1\/status$/, () => undefined);
		await told.goto(`${root}#/overview`);
		await sees(told, "Everything is safe");
		await ask("/kill?backend=b-2");
		for (let i = 1; i <= 8; i++) {
			await ask(`/put?bucket=photos&key=while-down-${i}.txt`); // writes that fail there open its breaker
		}
		await sees(page, "b-2 is down");
		await sees(told, "b-2 is down");
		await told.close();
		await sees(page, "Open alarms");
		await judge(page, "overview-down-light");
		await page.goto(`${root}#/objects/photos?prefix=while`);
		await sees(page, "b-2 lagging");
		await judge(page, "objects-lagging-light");
		await page.goto(`${root}#/replication`);
		await sees(page, /8 objects \(\d+ B\) to copy once it is back/);
		await page
			.getByRole("listitem", { name: "b-2", exact: true })
			.evaluate((e) => e.scrollIntoView({ block: "center" }));
		await judge(page, "replication-down-light");
		await ask("/start?backend=b-2");
		await page.getByText("to copy once it is back").waitFor({ state: "detached", timeout: 60_000 });
		await page.goto(`${root}#/objects/photos?prefix=while`);
		await page.getByText("while-down-8.txt").waitFor();
		await page.getByText("b-2 lagging").first().waitFor({ state: "detached", timeout: 60_000 });
		await page.goto(`${root}#/overview`);
		await sees(page, "Everything is safe");
	});
	await act.step(
		"without the stream the page asks by itself",
		async () => {
			const deaf = act.watch(await context.newPage());
			await deaf.route(/\/api\/v1\/events$/, (route) =>
				route.fulfill({ status: 503, body: "a proxy without streams" }),
			);
			await deaf.goto(`${root}#/overview`);
			await deaf.getByText("polling", { exact: true }).waitFor();
			await sees(deaf, "Everything is safe");
			await deaf.close();
		},
		/503/,
	);
	await taken(page);
	await modes(page);
	await past(page);
	await context.close();
}

async function taken(page: Page) {
	await act.step("a backend is paused and resumed", async () => {
		await page.goto(`${root}#/replication`);
		await press(page, "Pause b-3");
		await sees(page, "Nothing is asked of it");
		await judge(page, "pause-light");
		await press(page.getByRole("dialog"), "Pause b-3");
		await sees(page, "paused");
		await sees(page, /^until /);
		await press(page, "Resume b-3");
		await page.getByText("paused", { exact: true }).waitFor({ state: "detached", timeout: 60_000 });
	});
	await act.step("the pace of heals is set by sliders, and brought back", async () => {
		const one = page.getByRole("listitem", { name: "b-1", exact: true });
		const bytes = one.getByRole("slider", { name: "Most bytes a second to and from b-1" });
		await bytes.focus();
		await page.keyboard.press("Home");
		await sees(one, "Heals take at most 256 KiB/s");
		await one.getByRole("slider", { name: "Most requests a second to b-1" }).focus();
		await page.keyboard.press("Home");
		await page.keyboard.press("ArrowRight");
		await sees(one, "Heals take at most 256 KiB/s, 2 requests/s");
		await judge(page, "pace-light");
		// The page shows a pace before it is taken, and the browser complains of what is on its way when it is left.
		await page.waitForTimeout(2000);
		await page.reload();
		await sees(one, "Heals take at most 256 KiB/s, 2 requests/s");
		await press(one, "Pace of b-1 as configured");
		await sees(one, "Heals take what clients leave of it");
	});
}

async function modes(page: Page) {
	await act.step("replication is disabled for one bucket", async () => {
		await fill(page, "A bucket with a mode of its own", "photos");
		const own = page.getByRole("radiogroup", { name: "Bucket photos" });
		await own.getByText("Disabled", { exact: true }).click();
		await sees(page, "For bucket photos: b-1 alone takes writes");
		await press(page.getByRole("dialog"), "Disable");
		await page.getByRole("dialog").waitFor({ state: "detached" });
		await page.goto(`${root}#/objects`);
		await sees(page, "on b-1 alone");
		await page.goto(`${root}#/overview`);
		await sees(page, "Replication is disabled for photos");
		await page.goto(`${root}#/replication`);
		await own.getByText("Active", { exact: true }).click();
		await press(page, "Make active");
		await page.getByText("b-1 alone takes writes").waitFor({ state: "detached" });
	});
	await act.step("replication is disabled, which everything tells, and made active again", async () => {
		const all = page.getByRole("radiogroup", { name: "All buckets" });
		await all.getByText("Disabled", { exact: true }).click();
		await sees(page, "Disable replication?");
		await judge(page, "mode-light");
		await press(page.getByRole("dialog"), "Disable");
		await sees(page, "b-1 alone takes writes and is read.");
		await ask("/put?bucket=photos&key=on-one.txt");
		await page.getByRole("dialog").waitFor({ state: "detached" });
		await sees(page, "keys that need work");
		await judge(page, "replication-disabled-light");
		await page.goto(`${root}#/overview`);
		await sees(page, "Replication is disabled");
		await page.goto(`${root}#/replication`);
		await all.getByText("Active", { exact: true }).click();
		await press(page, "Make active");
		await sees(page, "Every write goes to all replicas at once");
		await page.goto(`${root}#/overview`);
		await sees(page, "Everything is safe");
	});
}

async function past(page: Page) {
	await act.step("history tells what each backend answered, and the audit who came, by filters", async () => {
		await page.goto(`${root}#/history`);
		await sees(page, "photos/while-down-1.txt");
		await page.getByText("Audit", { exact: true }).click();
		await sees(page, "Signed in");
		await fill(page, "Who", "ann");
		await page.getByLabel("Outcome").selectOption("refused");
		await sees(page, "photos/by-ann.exe");
		await page.getByText("Mode set").first().waitFor({ state: "detached" });
		await judge(page, "audit-light");
		await page.getByLabel("Outcome").selectOption("");
		await fill(page, "Who", "");
		await page.getByText("Writes", { exact: true }).click();
		await fill(page, "Keys that begin with", "readme");
		await page.getByText("photos/while-down-1.txt").first().waitFor({ state: "detached" });
		await sees(page, "photos/readme.txt");
	});
}
