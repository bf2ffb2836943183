import { expect, it } from "vitest";
import { paceOf, promise } from "./replication";

it("says what a mode means", () => {
	expect(promise("active")).toContain("all replicas at once");
	expect(promise("disabled", "eu-1")).toMatch(/^eu-1 alone takes writes/);
	expect(promise("disabled")).toMatch(/^the primary alone/);
});

it("says what heals may take", () => {
	expect(paceOf({ bytes_per_second: 0, requests_per_second: 0 })).toBe("what is left");
	expect(paceOf({ bytes_per_second: 10 << 20, requests_per_second: 0 })).toBe("10 MiB/s");
	expect(paceOf({ bytes_per_second: 1536, requests_per_second: 2.5 })).toBe("1.5 KiB/s, 2.5 requests/s");
});
