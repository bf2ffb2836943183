// Backends at run time, and where a bucket stands: one is taken in, changed and removed.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { noJobYet } from "./jobs.ts";
import { Act, ask, fill, judge, press, root, sees, spare } from "./stage.ts";

const act = new Act("members");

/** Leaves the backends that it found. */
export async function members(secret: string) {
	const [context, page] = await act.enter("light", "root", secret);
	const one = page.getByRole("dialog", { name: spare.name, exact: true });
	await added(page);
	await placed(page);
	await act.step(
		"a backend is not removed while a bucket is on it, and changed while it serves",
		async () => {
			await page.goto(`${root}#/replication?backend=${spare.name}`);
			await sees(one, "fit");
			await one.getByText(/findings: \d+ yes/).click();
			await sees(one, "read-after-write");
			await judge(page, "backend-light");
			await press(one, "Remove");
			await press(page, `Remove ${spare.name}`);
			await sees(page.getByRole("alert"), "reports");
			await press(page, "Keep it");
			await press(one, "Change");
			const form = page.getByRole("dialog", { name: `Change ${spare.name}` });
			assert.ok(await form.getByRole("button", { name: "Probe and change" }).isDisabled());
			await fill(form, "Access key ID", spare.access);
			await fill(form, "Secret access key", spare.secret);
			await press(form, "Probe and change");
			await sees(one, "What it lacks");
		},
		/409/,
	);
	await act.step("an empty bucket is deleted, and the backend removed", async () => {
		await page.goto(`${root}#/objects/reports`);
		await press(page, "About this bucket");
		await press(page.getByRole("dialog", { name: "reports" }), "Delete");
		await press(page, "Delete reports");
		await page.getByRole("heading", { name: "Objects" }).waitFor();
		await page.getByRole("link", { name: "reports" }).waitFor({ state: "detached" });
		await page.goto(`${root}#/replication?backend=${spare.name}`);
		await press(one, "Remove");
		await press(page, `Remove ${spare.name}`);
		await one.waitFor({ state: "detached" });
		await page.getByRole("listitem", { name: spare.name, exact: true }).waitFor({ state: "detached" });
		await page.goto(`${root}#/history`);
		await page.getByText("Audit", { exact: true }).click();
		await sees(page, "Backend removed");
		await sees(page, "Backend changed");
		await sees(page, "Backend added");
	});
	await context.close();
}

async function added(page: Page) {
	const form = page.getByRole("dialog", { name: "Add a backend" });
	await act.step(
		"a backend is probed before it is added; one with wrong keys is not",
		async () => {
			await page.goto(`${root}#/replication`);
			await press(page, "Add a backend");
			await fill(form, "Name", spare.name);
			await fill(form, "Address", `http://${spare.addr}`);
			await fill(form, "Access key ID", spare.access);
			await fill(form, "Secret access key", "a guess");
			await press(form, "Probe and add");
			await sees(form.getByRole("alert"), "its credentials are wrong");
			await judge(page, "backend-new-light");
		},
		/503/,
	);
	await act.step("a backend is added while the service runs", async () => {
		await fill(form, "Secret access key", spare.secret);
		await press(form, "Probe and add");
		const one = page.getByRole("dialog", { name: spare.name, exact: true });
		await sees(one, "being added while the service ran");
		assert.ok(!(await page.content()).includes(spare.secret), "the secret stays on the page");
		await press(one, "Close");
		await page.getByRole("listitem", { name: spare.name, exact: true }).waitFor();
		assert.ok(!page.url().includes("backend="), page.url());
	});
}

async function placed(page: Page) {
	await act.step("a bucket stands where one says, and tells", async () => {
		await page.goto(`${root}#/objects`);
		await press(page, "New bucket");
		const form = page.getByRole("dialog", { name: "New bucket" });
		await fill(form, "Name", "reports");
		await form.getByText("These backends").click();
		assert.ok(await form.getByRole("button", { name: "Make the bucket" }).isDisabled());
		await form.getByRole("checkbox", { name: "b-1" }).check();
		await form.getByRole("checkbox", { name: spare.name, exact: true }).check();
		await fill(form, `Its name on ${spare.name}`, "reports-there");
		await sees(form, "It is made on these 2 backends, and on no other.");
		await judge(page, "bucket-new-light");
		await press(form, "Make the bucket");
		await page.getByRole("link", { name: "reports" }).click();
		await press(page, "About this bucket");
		const about = page.getByRole("dialog", { name: "reports" });
		await sees(about, "reports-there");
		await about.getByLabel("Rule").selectOption("2");
		await press(about, "Save");
		await sees(about, "A write is answered once all of its backends have it.");
		await about.getByRole("button", { name: "Save", disabled: true }).waitFor();
		await judge(page, "bucket-about-light");
	});
	await act.step("another backend joins it, and is filled", async () => {
		await noJobYet; // one begins by itself
		assert.match(await ask("/put?bucket=reports&key=a.txt"), /^200/);
		const about = page.getByRole("dialog", { name: "reports", exact: true });
		await press(about, "Put it on another backend");
		const form = page.getByRole("dialog", { name: "Put reports on another backend" });
		assert.ok(await form.getByRole("button", { name: "Put it there" }).isDisabled());
		await form.getByLabel("Backend").selectOption("b-2");
		await sees(form, "b-2 takes writes at once");
		await judge(page, "bucket-join-light");
		await press(form, "Put it there");
		await form.waitFor({ state: "detached" });
		await about.getByRole("listitem").filter({ hasText: "b-2" }).getByText("present", { exact: true }).waitFor();
		assert.match(await ask("/delete?bucket=reports&key=a.txt"), /^204/);
	});
}
