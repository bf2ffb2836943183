// Users: made, limited, shown what is theirs, and shut out.
import assert from "node:assert/strict";
import { Act, ask, fill, judge, press, root, sees } from "./stage.ts";

const act = new Act("people");

type Key = { id: string; secret: string };

/** What S3 answers to a write that is signed with a key. */
const put = (name: string, k: Key) =>
	ask(`/put?bucket=photos&key=${name}&id=${encodeURIComponent(k.id)}&secret=${encodeURIComponent(k.secret)}`);

/** Makes ann, who may only read photos at the end; returns her key's id. */
export async function people(secret: string): Promise<string> {
	const [context, page] = await act.enter("light", "root", secret);
	let key = { id: "", secret: "" };
	await act.step("a user is made, limited, and given a key that is shown once", async () => {
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
		const [id, hidden] = await page.locator(".secret-value").allTextContents();
		key = { id: id ?? "", secret: hidden ?? "" };
		await judge(page, "key-new-light");
		await press(page, "I have kept it");
		await drawer.getByText(key.id).waitFor();
		await page.locator(".secret-value").first().waitFor({ state: "detached" });
		assert.ok(key.secret.length > 20 && !(await page.content()).includes(key.secret), "the secret stays on the page");
		assert.match(await put("by-ann.txt", key), /^200/);
		assert.match(await put("by-ann.exe", key), /^403/);
	});
	await act.step("a key is replaced: the old one opens nothing any more", async () => {
		const drawer = page.getByRole("dialog", { name: "ann" });
		await press(drawer, `Replace key ${key.id}`);
		const form = page.getByRole("dialog", { name: "Replace this key" });
		await form.getByText("no more", { exact: true }).click();
		await press(form, "Replace it");
		await page.locator(".secret-value").nth(1).waitFor();
		const [id, secret] = await page.locator(".secret-value").allTextContents();
		await press(page, "I have kept it");
		await drawer.getByText(key.id).waitFor({ state: "detached" });
		assert.match(await put("by-ann.txt", key), /^403/);
		key = { id: id ?? "", secret: secret ?? "" };
		await drawer.getByText(key.id).waitFor();
		assert.match(await put("by-ann.txt", key), /^200/);
	});
	await act.step("a limit is changed", async () => {
		const drawer = page.getByRole("dialog", { name: "ann" });
		await drawer.getByLabel("Write", { exact: true }).uncheck();
		await press(drawer, "Save");
		await drawer.getByRole("button", { name: "Save", disabled: true }).waitFor();
		await press(drawer, "Close");
		await sees(page, "only read");
	});
	await act.step("a plain user sees only what is his, and changes his password", async () => {
		const [c, p] = await act.enter("light", "ann", "password-of-ann");
		await p.getByRole("link", { name: "photos" }).waitFor();
		assert.deepEqual(await p.locator(".nav-link").allTextContents(), ["Objects", "Account"]);
		assert.equal(
			await p.getByRole("button", { name: "New bucket" }).count(),
			0,
			"who may only read is offered to write",
		);
		await p.getByRole("link", { name: "photos" }).click();
		await p.getByRole("button", { name: "readme.txt", exact: true }).click();
		const drawer = p.getByRole("dialog");
		await drawer.getByRole("button", { name: "Download" }).waitFor();
		await drawer.locator(".preview-text").waitFor();
		assert.equal(await drawer.getByRole("button", { name: "Delete" }).count(), 0, "who may only read may delete");
		assert.equal(await p.getByRole("button", { name: "Upload" }).count(), 0, "who may only read may upload");
		await judge(p, "object-plain-light");
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
	await act.step("pages for administrators are shut to him, by the page and by the server", async () => {
		const [c, p] = await act.enter("light", "ann", "another-of-ann");
		for (const shut of ["overview", "replication", "history", "users"]) {
			await p.goto(`${root}#/${shut}`);
			await sees(p, "This page is for administrators");
		}
		await judge(p, "refused-light");
		await c.close();
		const basic = { Authorization: `Basic ${Buffer.from("ann:another-of-ann").toString("base64")}` };
		for (const shut of ["status", "replication", "replication/jobs", "history", "users", "events"]) {
			assert.equal((await fetch(`${root}api/v1/${shut}`, { headers: basic })).status, 403, shut);
		}
	});
	await context.close();
	return key.id;
}

/** Ends ann's days, while she looks. */
export async function shutOut(secret: string) {
	const [context, page] = await act.enter("light", "root", secret);
	await act.step(
		"a user is disabled, and his session ends where he is",
		async () => {
			const [c, p] = await act.enter("light", "ann", "another-of-ann");
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
	await context.close();
}
