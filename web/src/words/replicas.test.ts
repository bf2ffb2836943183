import { expect, it } from "vitest";
import { folderOf, folders, nameIn, standing } from "./replicas";

it("tells how replicas stand", () => {
	expect(standing({ a: "current", b: "current", c: "current" })).toEqual([{ tone: "good", text: "equal on 3" }]);
	expect(standing({ a: "current" })).toEqual([{ tone: "good", text: "1 replica" }]);
	expect(standing({ c: "lagging", a: "current", b: "lagging" })).toEqual([{ tone: "warn", text: "b and c lagging" }]);
	expect(standing({ a: "refused", b: "healing" })).toEqual([
		{ tone: "bad", text: "a refused" },
		{ tone: "busy", text: "b healing" },
	]);
});

it("knows folders", () => {
	expect(folders("")).toEqual([]);
	expect(folders("abc")).toEqual([]);
	expect(folders("a/b/c")).toEqual([
		{ name: "a", prefix: "a/" },
		{ name: "b", prefix: "a/b/" },
	]);
	expect(folders("a//")).toEqual([
		{ name: "a", prefix: "a/" },
		{ name: "/", prefix: "a//" },
	]);
	expect(["", "a", "a/", "a/b", "a/b/"].map(folderOf)).toEqual(["", "", "a/", "a/", "a/b/"]);
	expect(nameIn("a/", "a/b.txt")).toBe("b.txt");
	expect(nameIn("a/", "a/")).toBe("a/");
});
