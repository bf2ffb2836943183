// `s3mirror demo` as a show: load, a backend that is slow, one that is off, and what the
// service does about it.
import { Act, judge, press, sees, show, showPassword } from "./stage.ts";

const act = new Act("show");

export async function theShow() {
	const [context, page] = await act.enter("light", "root", showPassword, show);
	await act.step("the demo opens with its switches, and lives", async () => {
		await page.getByRole("heading", { name: "Demo", exact: true }).waitFor();
		await press(page, "Start a load");
		await sees(page.getByRole("region", { name: "What it does about it" }), /^demo\/\d\d?|demo\//);
		const of = (name: string) => page.getByRole("radiogroup", { name: `Endpoint ${name}` });
		await of("ru-1").getByText("Slow", { exact: true }).click();
		await sees(page, "Clients do not wait for it");
		await of("eu-2").getByText("Off", { exact: true }).click();
		await sees(page, "eu-2 is down");
		await sees(page, /misses [1-9]\d* objects/);
		await judge(page, "demo-light");
		await of("ru-1").getByText("On", { exact: true }).click();
		await of("eu-2").getByText("On", { exact: true }).click();
		await sees(page, "Healed");
		await press(page, "Stop the load");
		await sees(page, "Everything is safe");
		await sees(page, "no client noticed anything");
	});
	await act.step("a copy that rots is found by a scrub, and mended", async () => {
		await page.getByRole("listitem", { name: "eu-2" }).getByRole("button", { name: "Corrupt an object" }).click();
		const rot = page.getByRole("region", { name: "Rot" });
		await sees(rot, "corrupt");
		await rot.evaluate((e) => e.scrollIntoView({ block: "end" }));
		await judge(page, "demo-rot-light");
		await rot.getByRole("button", { name: "Scrub" }).click();
		await sees(rot, "mended");
		await sees(rot, /1 differed, 1 mended/);
	});
	await context.close();
}
