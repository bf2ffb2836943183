// A bucket of very many objects, of which the server's answers are made up here: what is
// proved is that the page draws and holds few of them.
import assert from "node:assert/strict";
import { Act, judge, sees } from "./stage.ts";

const act = new Act("crowd");
const total = Number(process.env.CONSOLE_OBJECTS || 20_000);
const page1 = 1000; // what the console asks for at once

export async function crowd(secret: string) {
	const [context, page] = await act.enter("light", "root", secret);
	const asked = new Map<string, number>();
	await page.route(/\/api\/v1\/buckets\/crowd\/objects\?/, async (route) => {
		const query = new URL(route.request().url()).searchParams;
		const from = Number(query.get("cursor") ?? 0);
		asked.set(String(from), (asked.get(String(from)) ?? 0) + 1);
		const n = Math.min(Number(query.get("limit")), total - from);
		const objects = Array.from({ length: n }, (_, i) => ({
			key: `frame-${String(from + i).padStart(7, "0")}.dng`,
			size: 25_000_000 + from + i,
			etag: "9f86d081884c7d659a2feaa0c55ad015",
			last_modified: "2026-11-28T01:47:05Z",
			replicas: { "b-1": "current", "b-2": "current", "b-3": "current" },
		}));
		const cursor = from + n < total ? String(from + n) : undefined;
		await route.fulfill({ json: { prefixes: [], objects, cursor } });
	});
	await act.step(`${total.toLocaleString("en")} objects scroll by, of which few are ever drawn`, async () => {
		await page.goto(`${page.url().split("#")[0]}#/objects/crowd`);
		await sees(page, "frame-0000000.dng");
		const list = page.locator(".grid-body");
		const last = `frame-${String(total - 1).padStart(7, "0")}.dng`;
		// Frames are timed while it scrolls: reported, not asserted.
		await page.evaluate(() => {
			const w = window as unknown as { frames: number[]; most: number };
			w.frames = [];
			w.most = 0;
			let before = performance.now();
			const tick = (now: number) => {
				w.frames.push(now - before);
				before = now;
				w.most = Math.max(w.most, document.querySelectorAll(".grid-space > .grid-row").length);
				requestAnimationFrame(tick);
			};
			requestAnimationFrame(tick);
		});
		const deadline = Date.now() + 60_000 + 3 * total; // ms: a busy machine takes 1.5 for each
		while ((await page.getByText(last, { exact: true }).count()) === 0) {
			assert.ok(Date.now() < deadline, "the end does not come");
			await list.evaluate(async (e) => {
				for (let i = 0; i < 20; i++) {
					e.scrollTop = e.scrollHeight;
					await new Promise(requestAnimationFrame);
				}
			});
		}
		await sees(page, `${total.toLocaleString("en")} entries`);
		const { frames, most, held } = await page.evaluate(() => {
			const w = window as unknown as { frames: number[]; most: number };
			const memory = (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory;
			return { frames: w.frames.sort((a, b) => a - b), most: w.most, held: memory?.usedJSHeapSize ?? 0 };
		});
		const at = (q: number) => Math.round(frames[Math.floor(q * (frames.length - 1))] ?? 0);
		console.log(
			`   ${most} rows drawn at most; frames of ${at(0.5)} ms, ${at(0.95)} ms for one in twenty; heap ${Math.round(held / 1e6)} MB`,
		);
		assert.ok(most > 10 && most <= 80, `${most} rows are drawn`);
		// Each page is asked for as it comes near, and not again and again.
		assert.equal(asked.size, Math.ceil(total / page1));
	});
	await act.step("and back: what was let go is asked for anew", async () => {
		await page.locator(".grid-body").evaluate((e) => {
			e.scrollTop = 0;
		});
		await sees(page, "frame-0000000.dng");
		await judge(page, "crowd-light");
	});
	await context.close();
}
