import { expect, it } from "vitest";
import { type Course, done, follow, pace, progress } from "./healing";

const course = (...looks: [number, number][]) =>
	looks.reduce<Course | undefined>((c, [at, keys]) => follow(c, { at: at * 1000, keys }), undefined);

it("has no course where nothing is to be copied", () => {
	expect(course([0, 5], [1, 0])).toBeUndefined();
	expect(course([0, 5], [1, 0], [2, 3])?.peak).toBe(3);
});

it("tells how far it is, how fast, and how long yet", () => {
	const c = course([0, 100], [10, 60]) as Course;
	expect(done(c)).toBeCloseTo(0.4);
	expect(pace(c)).toBe(4);
	expect(progress(c)).toBe("40 of 100 objects copied, 4.0 a second, about 15 s to go");
});

it("promises nothing while the backlog grows, or was seen once", () => {
	expect(progress(course([0, 7]) as Course)).toBe("0 of 7 objects copied");
	expect(progress(course([0, 7], [2, 9]) as Course)).toBe("0 of 9 objects copied");
});

it("looks at the last half minute only, and never twice at one moment", () => {
	const c = course([0, 1000], [40, 500], [50, 400], [50, 400]) as Course;
	expect(c.seen).toHaveLength(2);
	expect(pace(c)).toBe(10);
	expect(c.peak).toBe(1000);
});
