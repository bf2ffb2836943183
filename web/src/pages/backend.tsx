import { Button, Drawer, Group, Stack, Table } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { drainBackend, getBackend, qualifyBackend, removeBackend } from "../api/gen/sdk.gen";
import type { BackendDetail } from "../api/gen/types.gen";
import { every } from "../api/live";
import { useRefresh } from "../api/queries";
import { Live } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Facts } from "../parts/facts";
import { Report } from "../parts/report";
import { Cell, Rows } from "../parts/rows";
import { Note, Oops, Waiting } from "../parts/states";
import { ago, bytes, count, moment, span } from "../words/format";
import { stateTone } from "../words/safety";
import { ChangeBackend } from "./backend-form";

/** One backend: how it fares, what it was found to do, and what can be done with it. */
export function OneBackend({ name, close }: { name: string; close: () => void }) {
	const [changing, setChanging] = useState(false);
	const backend = useQuery({
		queryKey: ["backend", name],
		queryFn: async () => (await getBackend({ path: { name } })).data,
		refetchInterval: every(5_000, 2_000),
	});
	const b = backend.data;
	return (
		<Drawer
			opened
			onClose={close}
			title={changing ? `Change ${name}` : name}
			position="right"
			size="lg"
			closeButtonProps={{ "aria-label": "Close" }}
		>
			{backend.isPending ? (
				<Waiting />
			) : b === undefined ? (
				<Oops error={backend.error} action={<Button onClick={() => backend.refetch()}>Try again</Button>} />
			) : changing ? (
				<ChangeBackend backend={b} done={() => setChanging(false)} />
			) : (
				<Stack gap="xl">
					{backend.isError && (
						<Note tone="bad" title="This is not the present state.">
							{backend.error.message}
						</Note>
					)}
					<About b={b} />
					<Behind b={b} />
					<Probed b={b} />
					<Acts b={b} change={() => setChanging(true)} close={close} />
				</Stack>
			)}
		</Drawer>
	);
}

function About({ b }: { b: BackendDetail }) {
	return (
		<div>
			<Live tone={stateTone[b.state]}>{b.state}</Live>
			{b.reason && (
				<div className="gap-above">
					<Note tone={stateTone[b.state]}>{b.reason}</Note>
				</div>
			)}
			<div className="job-facts">
				<Facts
					facts={[
						["Address", <code key="at">{b.endpoint}</code>],
						["Region", b.region],
						["Known by", b.added ? "being added while the service ran" : "the configuration of every node"],
						["Latency", b.latency_seconds > 0 ? `${Math.max(1, Math.round(b.latency_seconds * 1000))} ms` : "–"],
						["Under way", `${count(b.in_flight)} at this moment`],
						["Last success", b.last_success ? ago(b.last_success) : "not since the start"],
						...(b.last_failure
							? ([["Last failure", `${moment(b.last_failure)}${b.last_error ? `: ${b.last_error}` : ""}`]] as [
									string,
									string,
								][])
							: []),
						...(b.opens > 0 ? ([["Given up", `${count(b.opens)} times since the start`]] as [string, string][]) : []),
					]}
				/>
			</div>
		</div>
	);
}

const columns = [{ name: "Bucket" }, { name: "To copy", num: true }, { name: "Oldest", num: true }];

/** What it lacks, bucket by bucket. */
function Behind({ b }: { b: BackendDetail }) {
	return (
		<section aria-label="What it lacks">
			<h2 className="section-title">What it lacks</h2>
			{b.buckets.length === 0 ? (
				<p className="dim">Nothing: it has every object that it should.</p>
			) : (
				<Rows label="What it lacks, by bucket" columns={columns}>
					{b.buckets.map((one) => (
						<Table.Tr key={one.bucket}>
							<Cell label="Bucket" head>
								<Link
									to="/objects/$bucket"
									params={{ bucket: one.bucket }}
									search={{ prefix: "" }}
									className="name-link"
								>
									{one.bucket}
								</Link>
							</Cell>
							<Cell label="To copy" num>
								{`${count(one.lagging.keys)} · ${bytes(one.lagging.bytes)}`}
							</Cell>
							<Cell label="Oldest" num>
								{span(one.lagging.oldest_seconds)}
							</Cell>
						</Table.Tr>
					))}
				</Rows>
			)}
		</section>
	);
}

/** What it was found to do, and a look at it anew. */
function Probed({ b }: { b: BackendDetail }) {
	const queries = useQueryClient();
	const probe = useMutation({
		mutationFn: () => qualifyBackend({ path: { name: b.name } }),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["backend", b.name] }),
	});
	return (
		<section aria-label="What it was found to do">
			<Group justify="space-between" mb={10}>
				<h2 className="section-title" data-bare>
					What it was found to do
				</h2>
				<Button size="compact-sm" variant="default" loading={probe.isPending} onClick={() => probe.mutate()}>
					Probe it anew
				</Button>
			</Group>
			{probe.isError && <Note tone="bad">{probe.error.message}</Note>}
			{b.probe ? (
				<Report probe={b.probe} />
			) : (
				<p className="dim">
					{b.added
						? "It passed the probe that it was added with. The next one is made in the first bucket that is on it, and kept."
						: "It was not probed since the start: that is done in the first bucket that is on it."}
				</p>
			)}
		</section>
	);
}

/** What can be done with it. Pauses and paces are on the page behind. */
function Acts({ b, change, close }: { b: BackendDetail; change: () => void; close: () => void }) {
	const [asking, setAsking] = useState<"drain" | "remove">();
	const refresh = useRefresh();
	const queries = useQueryClient();
	const drain = useMutation({
		mutationFn: () => drainBackend({ path: { name: b.name } }),
		onSuccess: async () => {
			await queries.invalidateQueries({ queryKey: ["jobs"] });
			close();
		},
	});
	const remove = useMutation({
		mutationFn: () => removeBackend({ path: { name: b.name } }),
		onSuccess: async () => {
			close(); // it is asked for no more
			await refresh();
		},
	});
	const leave = () => {
		setAsking(undefined);
		drain.reset();
		remove.reset();
	};
	return (
		<>
			<div className="danger">
				<div>
					<strong>Drain</strong>
					<div>A job copies what rests on it alone to others, and pauses it then.</div>
				</div>
				<Button variant="default" disabled={b.state === "paused"} onClick={() => setAsking("drain")}>
					Drain
				</Button>
			</div>
			{b.added ? (
				<>
					<div className="danger">
						<div>
							<strong>Change</strong>
							<div>Its address, its keys, or how it is spoken to, while clients work.</div>
						</div>
						<Button variant="default" onClick={change}>
							Change
						</Button>
					</div>
					<div className="danger">
						<div>
							<strong>Remove</strong>
							<div>Once no bucket is on it. What it holds is left alone.</div>
						</div>
						<Button variant="outline" color="red.8" onClick={() => setAsking("remove")}>
							Remove
						</Button>
					</div>
				</>
			) : (
				<p className="dim">It is of the configuration: its address and keys are changed there, on every node.</p>
			)}
			<Confirm
				title={`Drain ${b.name}?`}
				verb="Drain it"
				keep="Leave it"
				opened={asking === "drain"}
				busy={drain.isPending}
				error={drain.error}
				act={() => drain.mutate()}
				close={leave}
			>
				What rests on {b.name} alone is copied to others first. Then it is paused: nothing is asked of it until it is
				resumed, and what it misses is logged. Clients notice nothing.
			</Confirm>
			<Confirm
				title={`Remove ${b.name}?`}
				verb={`Remove ${b.name}`}
				opened={asking === "remove"}
				busy={remove.isPending}
				error={remove.error}
				act={() => remove.mutate()}
				close={leave}
			>
				Every node forgets its address and its keys. It is refused while a bucket is on it. What it holds is left alone;
				another store must never be given its name.
			</Confirm>
		</>
	);
}
