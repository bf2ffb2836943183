// Jobs: asked for, watched as they come forward, ended, and what they found.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Act, ask, fill, judge, press, root, sees } from "./stage.ts";

const act = new Act("jobs");

let seen = () => {};

/** Ends when it was seen that there is no job yet: others may begin one then. */
export const noJobYet = new Promise<void>((resolve) => {
	seen = resolve;
});

/** Leaves every backend up and equal. Its scrub waits for what is quiet: who writes beside it is compared, too. */
export async function jobs(secret: string, quiet: Promise<unknown>) {
	const [context, page] = await act.enter("light", "root", secret);
	const list = page.getByRole("region", { name: "Jobs", exact: true });
	const job = page.getByRole("dialog");
	await act.step("no job yet, of which the page tells what one is for", async () => {
		await page.goto(`${root}#/replication`);
		await sees(list, "No job is under way");
		await judge(page, "jobs-none-light");
	});
	seen();
	await quiet;
	await act.step("a scrub finds what was lost behind everybody's back, and mends it", async () => {
		await ask("/lose?backend=b-3&bucket=photos&key=scan-05.bin");
		await press(list, "New job");
		await fill(job, "Bucket", "photos");
		await page.getByRole("option", { name: "photos" }).click();
		await job.getByLabel("Deep").check();
		await sees(job, "The replicas of bucket photos are compared: every byte");
		await judge(page, "job-new-light");
		await press(job, "Start the scrub");
		await job.getByRole("heading", { name: "Deep scrub of photos" }).waitFor();
		// Every byte of what the other acts wrote.
		await sees(job, "1 difference, 1 healed", 120_000).catch(async (e) => {
			console.log("   instead:", await job.textContent());
			throw e;
		});
		const found = job.getByRole("region", { name: "Differences" }).getByRole("row", { name: "photos/scan-05.bin" });
		assert.match((await found.textContent()) ?? "", /b-3is not there.*Is nothing; should be \d+ bytes.*healed/);
		await judge(page, "job-light");
		await press(job, "Close");
		await sees(list, "1 difference, 1 healed");
	});
	await act.step("an adoption of what is nowhere fails, and says why", async () => {
		await press(list, "New job");
		await job.getByText("Adoption", { exact: true }).click();
		assert.ok(await job.getByRole("button", { name: "Start the adoption" }).isDisabled());
		await fill(job, "Bucket", "nowhere");
		await press(job, "Start the adoption");
		await sees(job, "no backend has a bucket nowhere");
		await press(job, "Close");
		await sees(list, "failed");
	});
	await ended(page);
	await context.close();
}

/** A resync of a backend that is away waits for it, until somebody ends it. */
async function ended(page: Page) {
	const list = page.getByRole("region", { name: "Jobs", exact: true });
	const job = page.getByRole("dialog");
	const resync = async () => {
		await press(list, "New job");
		await job.getByText("Resync", { exact: true }).click();
		await fill(job, "Bucket", "photos");
		await job.getByLabel("Backend").selectOption("b-3");
		await sees(job, "what it alone holds is deleted there");
		await press(job, "Start the resync");
	};
	await act.step("a job that waits is seen by who only listens, and ended after a question", async () => {
		await ask("/kill?backend=b-3");
		// This page hears of jobs by the stream alone: its list is asked for once.
		const told = act.watch(await page.context().newPage());
		let asked = 0;
		await told.route(/\/api\/v1\/replication\/jobs\?/, (route) => (asked++ === 0 ? route.continue() : undefined));
		await told.goto(`${root}#/replication`);
		await told.getByText("live", { exact: true }).waitFor();
		await sees(told.getByRole("region", { name: "Jobs", exact: true }), "1 difference, 1 healed");
		await resync();
		await sees(job, "running");
		const line = told.getByRole("listitem", { name: "Resync of photos on b-3" });
		await sees(line, "running");
		await press(job, "Close");
		await sees(list, "running");
		await judge(page, "jobs-light");
		await press(list, "Resync of photos on b-3");
		await press(job, "End the job");
		await sees(page, "b-3 serves no reads of what was not compared");
		await judge(page, "job-end-light");
		await press(page, "End it");
		await sees(job, "cancelled");
		await sees(line, "cancelled");
		await told.close();
	});
	await act.step("another one is done when the backend is back, and is forgotten", async () => {
		await ask("/start?backend=b-3");
		await press(job, "Close");
		await resync();
		await sees(job, "done");
		await press(job, "Forget");
		await press(page, "Forget it");
		await job.first().waitFor({ state: "detached" });
		const lines = list.getByRole("listitem", { name: "Resync of photos on b-3" });
		await lines.nth(1).waitFor({ state: "detached" });
		assert.equal(await lines.count(), 1);
	});
	await act.step("everything is safe again", async () => {
		await page.goto(`${root}#/overview`);
		await sees(page, "Everything is safe");
	});
}
