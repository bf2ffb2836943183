import { expect, test } from "vitest";
import { ackMeans, anywhere, joined, lackOf, newBucket, placeMeans, turned } from "./place";

test("a bucket goes where the configuration says, unless it is said", () => {
	expect(newBucket("photos", anywhere)).toEqual({ name: "photos" });
	expect(placeMeans(anywhere)).toBe("It is made on the backends that the configuration says.");
	expect(lackOf(anywhere)).toBeUndefined();
});

test("backends are chosen and let go", () => {
	const chosen = { ...anywhere, chosen: true };
	expect(lackOf(chosen)).toBe("Choose a backend");
	const two = turned(turned(chosen, "b"), "a");
	expect(newBucket("photos", two)).toEqual({ name: "photos", replica_set: ["a", "b"] });
	expect(placeMeans(two)).toBe("It is made on these 2 backends, and on no other.");
	expect(placeMeans(turned(two, "b"))).toBe("It is made on one backend alone: its objects have one copy.");
});

test("names are sent where they differ", () => {
	const p = { chosen: true, names: { a: " photos-4 ", b: "photos", c: "" }, equal: true };
	expect(newBucket("photos", p)).toEqual({
		name: "photos",
		replica_set: ["a", "b", "c"],
		names: { a: "photos-4" },
		assume_equal: true,
	});
});

test("an ack rule is a sentence", () => {
	expect(ackMeans({ at_least: 1, include: [] }, 3)).toBe(
		"A write is answered once 1 of its 3 backends has it; the others are given it at the same time, and are not waited for.",
	);
	expect(ackMeans({ at_least: 2, include: ["a", "b"] }, 3)).toMatch(/2 of its 3 backends have it, a and b among them;/);
	expect(ackMeans({ at_least: 3, include: [] }, 3)).toBe("A write is answered once all of its backends have it.");
});

test("a backend joins those that are there", () => {
	expect(joined("photos", ["a", "b"], "c", "", false)).toEqual({ replica_set: ["a", "b", "c"] });
	expect(joined("photos", ["a"], "c", " photos-3 ", true)).toEqual({
		replica_set: ["a", "c"],
		names: { c: "photos-3" },
		assume_equal: true,
	});
});
