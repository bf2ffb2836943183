import { describe, expect, it, vi } from "vitest";
import { apiBase, Refusal, Session } from "./session";

const base = "http://console.test/mirror";
const token = (name: string, expires_in = 900) =>
	Response.json({ access_token: name, token_type: "Bearer", expires_in });
const problem = (status: number, title: string) =>
	Response.json({ type: "urn:s3mirror:problem:x", title, status, request_id: "R1" }, { status });

/** A server whose answers a test lists: each request takes the next. */
function served(...answers: (Response | Error)[]) {
	const seen: { method: string; url: string; authorization: string | null; body: string }[] = [];
	let now = 0;
	const ended = vi.fn();
	const session = new Session({
		base,
		now: () => now,
		ended,
		fetch: async (input, init) => {
			const r = new Request(input, init);
			seen.push({
				method: r.method,
				url: r.url,
				authorization: r.headers.get("Authorization"),
				body: await r.text(),
			});
			const answer = answers.shift();
			if (answer instanceof Error || !answer) {
				throw answer ?? new Error("unexpected request");
			}
			return answer;
		},
	});
	return {
		session,
		seen,
		ended,
		later: (ms: number) => {
			now += ms;
		},
	};
}

describe("a session", () => {
	it("is begun with a password and sends its token", async () => {
		const s = served(token("t1"), Response.json({}));
		await s.session.begin("ann", "secret");
		await s.session.fetch(`${base}/api/v1/status`);
		expect(s.seen.map((r) => `${r.method} ${r.url} ${r.authorization}`)).toEqual([
			`POST ${base}/api/v1/auth/session null`,
			`GET ${base}/api/v1/status Bearer t1`,
		]);
		expect(JSON.parse(s.seen[0]?.body ?? "")).toEqual({ login: "ann", password: "secret" });
	});

	it("tells why it is refused", async () => {
		const s = served(problem(401, "Login or password is wrong"));
		await expect(s.session.begin("ann", "x")).rejects.toMatchObject({
			message: "Login or password is wrong",
			status: 401,
			requestId: "R1",
		});
		expect(s.session.open).toBe(false);
	});

	it("is renewed once for all who ask, before its token ends", async () => {
		const s = served(token("t1"), token("t2"), Response.json({}), Response.json({}));
		await s.session.begin("ann", "secret");
		s.later(871_000);
		await Promise.all([s.session.fetch(`${base}/a`), s.session.fetch(`${base}/b`)]);
		expect(s.seen.filter((r) => r.method === "PUT")).toHaveLength(1);
		expect(s.seen.slice(2).map((r) => r.authorization)).toEqual(["Bearer t2", "Bearer t2"]);
	});

	it("makes a request once more when the token was refused", async () => {
		const s = served(token("t1"), problem(401, "no"), token("t2"), Response.json({ ok: true }));
		await s.session.begin("ann", "secret");
		const answer = await s.session.fetch(`${base}/a`, { method: "POST", body: "data" });
		expect(await answer.json()).toEqual({ ok: true });
		expect(s.seen.map((r) => r.body)).toEqual([expect.anything(), "data", "", "data"]);
		expect(s.ended).not.toHaveBeenCalled();
	});

	it("has ended when it cannot be renewed", async () => {
		for (const none of [problem(401, "reused"), new Response(null, { status: 204 })]) {
			const s = served(token("t1"), problem(401, "no"), none);
			await s.session.begin("ann", "secret");
			expect((await s.session.fetch(`${base}/a`)).status).toBe(401);
			expect(s.ended).toHaveBeenCalledOnce();
			expect(s.session.open).toBe(false);
		}
	});

	it("goes on when the server is away for a while", async () => {
		const s = served(token("t1"), new TypeError("network"), problem(503, "busy"), token("t2"), Response.json({}));
		await s.session.begin("ann", "secret");
		await expect(s.session.fetch(`${base}/a`)).rejects.toMatchObject({ status: 0 });
		s.later(890_000);
		await expect(s.session.fetch(`${base}/a`)).rejects.toBeInstanceOf(Refusal);
		expect((await s.session.fetch(`${base}/a`)).status).toBe(200);
		expect(s.ended).not.toHaveBeenCalled();
	});

	it("ends on the server first", async () => {
		const s = served(token("t1"), problem(503, "no"), new Response(null, { status: 204 }));
		await s.session.begin("ann", "secret");
		await expect(s.session.end()).rejects.toBeInstanceOf(Refusal);
		expect(s.session.open).toBe(true);
		await s.session.end();
		expect(s.session.open).toBe(false);
		expect(s.ended).toHaveBeenCalledOnce();
	});
});

it("finds the API beside the page", () => {
	expect(apiBase("https://h.test/")).toBe("https://h.test");
	expect(apiBase("https://h.test/mirror/")).toBe("https://h.test/mirror");
	expect(apiBase("https://h.test/mirror/index.html?x=1#/users")).toBe("https://h.test/mirror");
});
