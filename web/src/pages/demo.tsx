import { Button, Group, SegmentedControl } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import {
	demo,
	demoCorrupt,
	demoLoadOff,
	demoLoadOn,
	demoOff,
	demoOn,
	demoSlow,
	getJob,
	history_ as history,
	startJob,
} from "../api/gen/sdk.gen";
import type { DemoBackend, DemoRot, Status } from "../api/gen/types.gen";
import { useCourses, useRefresh, useStatus } from "../api/queries";
import { Live } from "../parts/badge";
import { Icon } from "../parts/icons";
import { Numbers } from "../parts/numbers";
import { Page, Panel } from "../parts/page";
import { Note, Oops, Waiting } from "../parts/states";
import { count } from "../words/format";
import { progress } from "../words/healing";
import { stateTone, verdict } from "../words/safety";
import { EventLine } from "./event";

/** The demo: what one may do to it, and what the service does about that. */
export function Demo() {
	const state = useQuery({ queryKey: ["demo"], queryFn: async () => (await demo()).data, refetchInterval: 1_000 });
	const node = useStatus();
	const queries = useQueryClient();
	const load = useMutation({
		mutationFn: (on: boolean) => (on ? demoLoadOn() : demoLoadOff()),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["demo"] }),
	});
	const error = state.error ?? node.error ?? load.error;
	if (!state.data || !node.data) {
		return <Page title="Demo">{error ? <Oops error={error} /> : <Waiting rows={3} height={120} />}</Page>;
	}
	const { backends, acknowledged, failed } = state.data;
	const v = verdict(node.data);
	return (
		<Page
			title="Demo"
			actions={
				<Button
					leftSection={<Icon name={state.data.load ? "pause" : "play"} size={16} />}
					variant={state.data.load ? "default" : "filled"}
					loading={load.isPending}
					onClick={() => load.mutate(!state.data.load)}
				>
					{state.data.load ? "Stop the load" : "Start a load"}
				</Button>
			}
		>
			{error && <Note tone="bad">{error.message}</Note>}
			<section className="verdict" data-tone={v.tone} aria-live="polite" aria-label="What the service says">
				<span className="verdict-icon">
					<Icon name={v.tone} size={28} />
				</span>
				<div>
					<p className="verdict-title">{v.title}</p>
					<p className="verdict-detail">{v.detail}</p>
				</div>
			</section>
			<Numbers
				facts={[
					["Acknowledged", count(acknowledged), "operations of the load"],
					["Failed", count(failed), failed === 0 ? "no client noticed anything" : "operations of the load"],
					["To copy", count(node.data.lagging.keys), "objects, by heals"],
				]}
			/>
			<Panel title="Endpoints" note="Switch one off or make it slow, under load, and see what becomes of it" flush>
				<ul className="paced">
					{backends.map((b) => (
						<Endpoint key={b.name} backend={b} node={node.data} />
					))}
				</ul>
			</Panel>
			{state.data.corrupted.length > 0 && <Rot copies={state.data.corrupted} />}
			<Account />
		</Page>
	);
}

const switches = { on: demoOn, slow: demoSlow, off: demoOff };

const meanings: Record<DemoBackend["state"], string> = {
	on: "Answers at once.",
	slow: "Answers each request after 0.7 s. Clients do not wait for it.",
	off: "Answers nothing, as after a power cut. What it misses is logged.",
};

function Endpoint({ backend: b, node }: { backend: DemoBackend; node: Status }) {
	const queries = useQueryClient();
	const refresh = useRefresh();
	const course = useCourses().get(b.name);
	const seen = node.backends.find((s) => s.name === b.name);
	const turn = useMutation({
		mutationFn: async (to: DemoBackend["state"]) => {
			await switches[to]({ path: { name: b.name } });
		},
		onSuccess: async () => {
			await queries.invalidateQueries({ queryKey: ["demo"] });
			await refresh();
		},
	});
	const corrupt = useMutation({
		mutationFn: async () => {
			await demoCorrupt({ path: { name: b.name } });
		},
		onSuccess: () => queries.invalidateQueries({ queryKey: ["demo"] }),
	});
	const failure = turn.error ?? corrupt.error;
	return (
		<li aria-label={b.name}>
			<div className="paced-head">
				<strong>{b.name}</strong>
				{seen && <Live tone={stateTone[seen.state]}>{seen.state}</Live>}
				<SegmentedControl
					aria-label={`Endpoint ${b.name}`}
					value={b.state}
					onChange={(to) => turn.mutate(to as DemoBackend["state"])}
					data={[
						{ value: "on", label: "On" },
						{ value: "slow", label: "Slow" },
						{ value: "off", label: "Off" },
					]}
				/>
			</div>
			<Group justify="space-between" className="dim">
				<span>{meanings[b.state]}</span>
				<Group gap="sm">
					{course && (
						<span>{b.state === "off" ? `misses ${count(seen?.lagging_keys ?? 0)} objects` : progress(course)}</span>
					)}
					<Button size="compact-sm" variant="default" loading={corrupt.isPending} onClick={() => corrupt.mutate()}>
						Corrupt an object
					</Button>
				</Group>
			</Group>
			{failure && <Note tone="bad">{failure.message}</Note>}
		</li>
	);
}

/** Copies that were changed behind everybody's back, and the scrub that finds them. */
function Rot({ copies }: { copies: DemoRot[] }) {
	const scrub = useMutation({
		mutationFn: async () => (await startJob({ body: { kind: "scrub", deep: true } })).data,
	});
	const id = scrub.data?.id;
	const job = useQuery({
		queryKey: ["job", id],
		enabled: id !== undefined,
		queryFn: async () => (await getJob({ path: { id: id ?? "" } })).data,
		refetchInterval: (q) => (q.state.data?.ended ? false : 500),
	});
	const error = scrub.error ?? job.error;
	return (
		<Panel
			title="Rot"
			note="A byte of these copies is not what was written. Their endpoint does not say so; only who reads every byte finds out"
			actions={
				<Button
					size="compact-sm"
					loading={scrub.isPending || (job.data !== undefined && !job.data.ended)}
					onClick={() => scrub.mutate()}
				>
					Scrub
				</Button>
			}
			flush
		>
			<ul className="paced">
				{copies.map((c, i) => (
					// biome-ignore lint/suspicious/noArrayIndexKey: a copy may have been corrupted twice
					<li key={`${c.backend} ${c.bucket}/${c.key} ${copies.length - i}`}>
						<div className="paced-head">
							<code>
								{c.bucket}/{c.key}
							</code>
							<span className="dim">on {c.backend}</span>
							<Live tone={c.mended ? "good" : "bad"}>{c.mended ? "mended" : "corrupt"}</Live>
						</div>
					</li>
				))}
			</ul>
			{error && <Note tone="bad">{error.message}</Note>}
			{job.data?.ended && (
				<Note tone={job.data.state === "done" ? "good" : "bad"}>
					{job.data.state === "done"
						? `${count(job.data.keys)} objects read on every backend: ${count(job.data.differences)} differed, ${count(job.data.healed)} mended.`
						: (job.data.problem ?? `The scrub is ${job.data.state}.`)}
				</Note>
			)}
		</Panel>
	);
}

/** What the service does, as it does it. */
function Account() {
	const past = useQuery({
		queryKey: ["history", "demo"],
		queryFn: async () => (await history({ query: { limit: 40 } })).data.events,
		refetchInterval: 1_500,
	});
	const shown = past.data?.filter((e) => e.op !== "beginSession" && e.op !== "renewSession").slice(0, 25) ?? [];
	return (
		<Panel title="What it does about it" note="Newest first" flush>
			{past.isPending ? (
				<div className="panel-pad">
					<Waiting rows={4} />
				</div>
			) : past.isError ? (
				<Oops error={past.error} />
			) : (
				<ul className="events" data-wide aria-live="off">
					{shown.map((e) => (
						<EventLine key={`${e.time} ${e.id} ${e.op} ${e.key}`} event={e} where />
					))}
				</ul>
			)}
		</Panel>
	);
}
