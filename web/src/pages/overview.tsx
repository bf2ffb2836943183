import { Table } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import type { BackendStatus, Node, Replication, Status } from "../api/gen/types.gen";
import { useCourses, useReplication, useStatus } from "../api/queries";
import { useSamples } from "../api/sampling";
import { Live } from "../parts/badge";
import { Icon } from "../parts/icons";
import { type Fact, Numbers } from "../parts/numbers";
import { Page, Panel } from "../parts/page";
import { Cell, Rows } from "../parts/rows";
import { Note, Oops, Waiting } from "../parts/states";
import { ago, bytes, count, many, span } from "../words/format";
import { progress } from "../words/healing";
import { alarms, stateTone, verdict } from "../words/safety";
import { latencies } from "../words/samples";

const Trends = lazy(() => import("./trends").then((m) => ({ default: m.Trends })));

export function Overview() {
	const s = useStatus();
	const r = useReplication();
	return (
		<Page title="Overview">
			{s.isPending ? (
				<>
					<Waiting rows={1} height={104} />
					<Waiting rows={1} height={84} />
					<Waiting rows={1} height={220} />
				</>
			) : s.data ? (
				<>
					{s.isError && (
						<Note tone="bad" title="This is not the present state.">
							{s.error.message}
						</Note>
					)}
					<Safe s={s.data} r={r.data} stale={s.isError} />
					<Alarms s={s.data} r={r.data} />
					<Numbers facts={numbers(s.data)} />
					<Backends list={s.data.backends} />
					{s.data.nodes && <Nodes list={s.data.nodes} here={s.data.node} />}
					<Suspense fallback={<Waiting rows={1} height={240} />}>
						<Trends />
					</Suspense>
				</>
			) : (
				<Oops error={s.error} />
			)}
		</Page>
	);
}

function Safe({ s, r, stale }: { s: Status; r?: Replication; stale: boolean }) {
	const v = verdict(s, r);
	const courses = useCourses();
	const behind = s.backends.filter((b) => b.state === "up" && courses.has(b.name));
	const going = behind.length === 1 ? courses.get(behind[0]?.name ?? "") : undefined;
	return (
		<section
			className="verdict"
			data-tone={stale ? "idle" : v.tone}
			aria-label="Is everything safe?"
			aria-live="polite"
		>
			<span className="verdict-icon">
				<Icon name={v.tone === "idle" ? "idle" : v.tone} size={30} />
			</span>
			<div>
				<p className="verdict-title">{v.title}</p>
				<p className="verdict-detail">{v.detail}</p>
				{v.tone === "busy" && going && <p className="verdict-detail">{`${progress(going)}.`}</p>}
			</div>
		</section>
	);
}

function Alarms({ s, r }: { s: Status; r?: Replication }) {
	const open = alarms(s, r);
	if (open.length === 0) {
		return null;
	}
	return (
		<Panel title="Open alarms" note={`${many(open.length, "thing")} to look at`} flush>
			<ul className="alarms">
				{open.map((a) => (
					<li key={a.id} data-tone={a.tone}>
						<Icon name={a.tone === "good" ? "good" : a.tone} size={20} />
						<div>
							<strong>{a.title}</strong>
							<p className="alarm-detail">{a.detail}</p>
							<p>{a.todo}</p>
						</div>
					</li>
				))}
			</ul>
		</Panel>
	);
}

const numbers = (s: Status): Fact[] => [
	["To copy", count(s.lagging.keys), s.lagging.keys > 0 ? bytes(s.lagging.bytes) : "nothing lags"],
	["Oldest lag", s.lagging.keys > 0 ? span(s.lagging.oldest_seconds) : "–", "since the write"],
	["Being written", count(s.in_flight.keys), "at this moment"],
	["Unsettled", count(s.unsettled.keys), "outcome not yet known"],
	["Refused", count(s.refused.keys), "by a backend"],
];

const columns = [
	{ name: "Backend" },
	{ name: "State" },
	{ name: "Latency", num: true },
	{ name: "To copy", num: true },
	{ name: "Oldest", num: true },
	{ name: "Last success", num: true },
];

function Backends({ list }: { list: BackendStatus[] }) {
	const samples = useSamples();
	const took = useMemo(() => latencies(samples.slice(-13)), [samples]); // of a minute
	return (
		<Panel title="Backends" flush>
			<Rows label="Backends" columns={columns}>
				{list.map((b) => {
					const seconds = took[b.name];
					return (
						<Table.Tr key={b.name}>
							<Cell label="Backend" head>
								<Link to="/replication" search={{ backend: b.name }} className="row-button">
									{b.name}
								</Link>
							</Cell>
							<Cell label="State">
								<Live tone={stateTone[b.state]}>{b.state}</Live>
							</Cell>
							<Cell label="Latency" num title="Mean of all operations in the last minute">
								{seconds === undefined ? "–" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`}
							</Cell>
							<Cell label="To copy" num>
								{b.lagging_keys === 0 ? "–" : `${count(b.lagging_keys)} · ${bytes(b.lagging_bytes)}`}
							</Cell>
							<Cell label="Oldest" num>
								{b.lagging_keys === 0 ? "–" : span(b.oldest_seconds)}
							</Cell>
							<Cell label="Last success" num>
								{b.last_success ? ago(b.last_success) : "not since the start"}
							</Cell>
						</Table.Tr>
					);
				})}
			</Rows>
		</Panel>
	);
}

const nodeColumns = [
	{ name: "Node" },
	{ name: "State" },
	{ name: "Admin API" },
	{ name: "Version" },
	{ name: "Started" },
];

/** The nodes that share the log; a node whose log is its own has none beside it. */
function Nodes({ list, here }: { list: Node[]; here: string }) {
	return (
		<Panel title="Nodes" note="Those that share the log and live" flush>
			<Rows label="Nodes" columns={nodeColumns}>
				{list.map((n) => (
					<Table.Tr key={n.name}>
						<Cell label="Node" head>
							<strong>{n.name}</strong>
						</Cell>
						<Cell label="State">
							<Live tone={n.joining ? "busy" : "good"}>
								{n.joining ? "joining" : n.name === here ? "serves, and answers here" : "serves"}
							</Live>
						</Cell>
						<Cell label="Admin API">{n.address}</Cell>
						<Cell label="Version">{n.version}</Cell>
						<Cell label="Started">{ago(n.started)}</Cell>
					</Table.Tr>
				))}
			</Rows>
		</Panel>
	);
}
