// Objects: written, looked at, linked to, taken away.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { Act, ask, file, fill, judge, largeFile, picture, press, row, sees, slowed, snap } from "./stage.ts";

const act = new Act("files");

/** The first bucket, and what is in it; the page that looks at it. */
export async function firstFiles(secret: string): Promise<Page> {
	const [, page] = await act.enter("light", "root", secret);
	await act.step("a bucket is made", async () => {
		await page.getByRole("link", { name: "Objects" }).click();
		await sees(page, "No buckets yet");
		await judge(page, "objects-none-light");
		await press(page, "New bucket");
		await fill(page.getByRole("dialog"), "Name", "photos");
		await press(page, "Make the bucket");
		await page.getByRole("link", { name: "photos" }).click();
		await sees(page, "This bucket is empty");
	});
	await written(page);
	return page;
}

export async function files(page: Page) {
	await large(page);
	await looked(page);
	await page.context().close();
}

async function written(page: Page) {
	await act.step("many files are uploaded, a folder among them", async () => {
		await page
			.getByLabel("Files to upload")
			.setInputFiles([
				file("readme.txt", "kept on every backend\n".repeat(2000)),
				file("harbour.png", picture),
				...Array.from({ length: 12 }, (_, i) =>
					file(`scan-${String(i + 1).padStart(2, "0")}.bin`, Buffer.alloc(100_000 + 31_000 * i, i)),
				),
			]);
		await sees(page, "14 of 14 written");
		await row(page, "scan-12.bin").waitFor();
		await sees(page, "14 entries");
		await press(page, "Clear");
	});
	await act.step("files are dropped onto the page", async () => {
		const data = await page.evaluateHandle(() => {
			const all = new DataTransfer();
			for (const n of ["one", "two"]) {
				all.items.add(new File([`dropped ${n}`], `dropped-${n}.txt`, { type: "text/plain" }));
			}
			return all;
		});
		const list = page.getByRole("region", { name: "Objects" });
		await list.dispatchEvent("dragover", { dataTransfer: data });
		await sees(page, "Drop to write into photos/");
		await list.dispatchEvent("drop", { dataTransfer: data });
		await sees(page, "2 of 2 written");
		await row(page, "dropped-two.txt").waitFor();
		await judge(page, "uploaded-light");
		await press(page, "Clear");
		assert.match(await ask("/get?bucket=photos&key=dropped-one.txt"), /^200/);
	});
	await act.step(
		"an upload is cancelled on its way, and tried again",
		async () => {
			const pace = await slowed(page);
			await pace(1_000_000);
			await page.getByLabel("Files to upload").setInputFiles([file("slow.bin", Buffer.alloc(9_000_000, 1))]);
			await page.getByText(/^[1-9].* of 8.6 MiB/).waitFor();
			await press(page, "Cancel: slow.bin");
			await sees(page, "cancelled");
			await pace(-1);
			await press(page, "Try again: slow.bin");
			await sees(page, "1 of 1 written");
			await row(page, "slow.bin").waitFor();
			await press(page, "Clear");
		},
		/ERR_ABORTED/,
	);
}

async function large(page: Page) {
	const [path, sum] = largeFile("large.bin", 200);
	await act.step(
		"200 MB go in parts, are paused and go on, wherever one looks",
		async () => {
			const pace = await slowed(page);
			await pace(12_000_000);
			await page.getByLabel("Files to upload").setInputFiles([path]);
			// More than the first parts have gone.
			await page.getByText(/^([5-9]\d|1\d\d) MiB of 191 MiB/).waitFor();
			await snap(page, "uploading-light");
			await press(page, "Pause: large.bin");
			await sees(page, /^paused at/);
			const kept = Number(/paused at ([\d.]+) MiB/.exec((await page.getByText(/^paused at/).textContent()) ?? "")?.[1]);
			assert.ok(kept >= 16, `${kept} MiB of the parts are kept`);
			await judge(page, "paused-light");
			await page.getByRole("link", { name: "Account" }).click();
			await page.getByRole("link", { name: "Objects" }).click();
			await page.getByRole("link", { name: "photos" }).click();
			await pace(-1);
			await press(page, "Resume: large.bin");
			await sees(page, "1 of 1 written");
			await row(page, "large.bin").waitFor();
			await press(page, "Clear");
			assert.equal(await ask("/sum?bucket=photos&key=large.bin"), sum);
		},
		/ERR_ABORTED/,
	);
	await act.step(
		"an upload in parts is given up, and leaves nothing",
		async () => {
			const pace = await slowed(page);
			await pace(4_000_000);
			await page.getByLabel("Files to upload").setInputFiles([largeFile("given-up.bin", 40)[0]]);
			await page.getByText(/^[1-9].* of 38 MiB/).waitFor();
			const dropped = page.waitForResponse((r) => r.request().method() === "DELETE" && r.url().includes("/uploads/"));
			await press(page, "Cancel: given-up.bin");
			assert.equal((await dropped).status(), 204);
			await pace(-1);
			await press(page, "Clear");
		},
		/ERR_ABORTED/,
	);
}

async function looked(page: Page) {
	await act.step("text and pictures are previewed", async () => {
		for (const [name, what] of [
			["readme.txt", ".preview-text"],
			["harbour.png", ".preview-picture"],
		] as const) {
			await row(page, name).click();
			const drawer = page.getByRole("dialog", { name });
			await drawer.locator(what).waitFor();
			await drawer.getByText("acked").first().waitFor();
			await judge(page, `object-${name.replace(".", "-")}-light`);
			await press(drawer, "Close");
			await drawer.waitFor({ state: "detached" });
		}
	});
	await act.step("a link opens one object to whoever has it", async () => {
		await row(page, "readme.txt").click();
		await press(page.getByRole("dialog"), "Link");
		const dialog = page.getByRole("dialog", { name: "Link to this object" });
		await press(dialog, "Make the link");
		const url = (await dialog.locator(".secret-value").textContent()) ?? "";
		await judge(page, "link-light");
		const answer = await fetch(url);
		assert.equal(answer.status, 200);
		assert.equal(await answer.text(), "kept on every backend\n".repeat(2000));
		assert.equal((await fetch(url.replace("readme.txt", "harbour.png"))).status, 403);
		await press(dialog, "Done");
		await press(page.getByRole("dialog"), "Close");
	});
	await act.step("an object is downloaded as it was written", async () => {
		await row(page, "harbour.png").click();
		const download = page.waitForEvent("download");
		await press(page.getByRole("dialog"), "Download");
		const got = await download;
		assert.equal(got.suggestedFilename(), "harbour.png");
		assert.ok(readFileSync(await got.path()).equals(picture));
		await press(page.getByRole("dialog"), "Close");
	});
	await act.step("an object is deleted, after a question", async () => {
		await row(page, "scan-12.bin").click();
		const drawer = page.getByRole("dialog", { name: "scan-12.bin" });
		await press(drawer, "Delete");
		await press(page, "Keep it");
		await press(drawer, "Delete");
		await sees(page, "Delete this object?");
		await press(page, "Delete it everywhere");
		await row(page, "scan-12.bin").waitFor({ state: "detached" });
		assert.match(await ask("/get?bucket=photos&key=scan-12.bin"), /^404/);
	});
	await act.step("several objects are chosen, and deleted at once", async () => {
		for (const n of ["08", "09", "10", "11"]) {
			await page.getByRole("checkbox", { name: `Choose scan-${n}.bin` }).check();
		}
		await page.getByRole("checkbox", { name: "Choose scan-08.bin" }).uncheck();
		await sees(page, "3 objects chosen");
		await judge(page, "chosen-light");
		await press(page, "Delete 3");
		await press(page, "Delete them everywhere");
		await page.getByText("3 objects chosen").waitFor({ state: "detached" });
		await row(page, "scan-11.bin").waitFor({ state: "detached" });
		await row(page, "scan-08.bin").waitFor();
		assert.match(await ask("/get?bucket=photos&key=scan-11.bin"), /^404/);
	});
	await act.step("names are searched by how they begin", async () => {
		await fill(page, "Names that begin with", "scan-0");
		await sees(page, "8 entries");
		await fill(page, "Names that begin with", "nothing");
		await sees(page, "No name begins so");
		await fill(page, "Names that begin with", "");
		await row(page, "readme.txt").waitFor();
	});
}
