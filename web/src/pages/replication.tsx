import { Button, Group, Modal, NumberInput, SegmentedControl, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { pauseBackend, replication, resetPace, resumeBackend, setMode, setPace, status } from "../api/gen/sdk.gen";
import type { BackendStatus, Replication as Doc, Mode, Pace, Pause } from "../api/gen/types.gen";
import { Live, Tag } from "../parts/badge";
import { Page, Panel } from "../parts/page";
import { Cell, Rows } from "../parts/rows";
import { Note, Oops, Waiting } from "../parts/states";
import { bytes, count, moment, span } from "../words/format";
import { paceOf, promise } from "../words/replication";
import { stateTone } from "../words/safety";

/** How objects are replicated, and how that is changed while it runs. */
export function Replication() {
	const doc = useQuery({
		queryKey: ["replication"],
		queryFn: async () => (await replication()).data,
		refetchInterval: 2_000,
	});
	const node = useQuery({ queryKey: ["status"], queryFn: async () => (await status()).data, refetchInterval: 2_000 });
	const error = doc.error ?? node.error;
	return (
		<Page title="Replication">
			{doc.data && node.data ? (
				<>
					{error && (
						<Note tone="bad" title="This is not the present state.">
							{error.message}
						</Note>
					)}
					<Modes doc={doc.data} backends={node.data.backends} />
					<Queue doc={doc.data} />
					<Backends doc={doc.data} backends={node.data.backends} />
				</>
			) : error ? (
				<Oops error={error} />
			) : (
				<>
					<Waiting rows={1} height={150} />
					<Waiting rows={1} height={90} />
					<Waiting rows={1} height={220} />
				</>
			)}
		</Page>
	);
}

function useRefresh() {
	const queries = useQueryClient();
	return async () => {
		await queries.invalidateQueries({ queryKey: ["replication"] });
		await queries.invalidateQueries({ queryKey: ["status"] });
	};
}

type Change = { mode: Mode; primary?: string; bucket?: string };

function Modes({ doc, backends }: { doc: Doc; backends: BackendStatus[] }) {
	const [wanted, setWanted] = useState<Change>();
	const ask = (mode: Mode, now: { mode: Mode; primary?: string }, bucket?: string) =>
		mode !== now.mode &&
		setWanted({ mode, bucket, primary: mode === "disabled" ? (now.primary ?? backends[0]?.name) : undefined });
	return (
		<Panel title="Mode" note="What becomes of the next write">
			<div className="mode">
				<Switch label="All buckets" mode={doc.mode} choose={(m) => ask(m, doc)} />
				<p>{promise(doc.mode, doc.primary)}</p>
			</div>
			{doc.buckets.map((b) => (
				<div className="mode" key={b.bucket}>
					<div>
						<strong>{b.bucket}</strong>
						<Switch label={`Bucket ${b.bucket}`} mode={b.mode} choose={(m) => ask(m, b, b.bucket)} />
					</div>
					<p>{promise(b.mode, b.primary)}</p>
				</div>
			))}
			{wanted && <Ask change={wanted} set={setWanted} backends={backends} />}
		</Panel>
	);
}

function Switch({ label, mode, choose }: { label: string; mode: Mode; choose: (m: Mode) => void }) {
	return (
		<SegmentedControl
			aria-label={label}
			value={mode}
			onChange={(v) => choose(v === "disabled" ? "disabled" : "active")}
			data={[
				{ value: "active", label: "Active" },
				{ value: "disabled", label: "Disabled" },
			]}
		/>
	);
}

/** Says what will happen before it does. */
function Ask({
	change,
	set,
	backends,
}: {
	change: Change;
	set: (c: Change | undefined) => void;
	backends: BackendStatus[];
}) {
	const refresh = useRefresh();
	const act = useMutation({
		mutationFn: () => setMode({ body: change }),
		onSuccess: async () => {
			await refresh();
			set(undefined);
		},
	});
	const where = change.bucket ? `bucket ${change.bucket}` : "all buckets without a mode of their own";
	return (
		<Modal
			opened
			onClose={() => set(undefined)}
			title={change.mode === "disabled" ? "Disable replication?" : "Make replication active?"}
			centered
			closeButtonProps={{ "aria-label": "Close" }}
		>
			<Stack>
				<Text size="sm">
					For {where}: {promise(change.mode, change.primary)}
				</Text>
				{change.mode === "disabled" && (
					<div>
						<Text size="sm" fw={500} mb={6} id="primary">
							Primary
						</Text>
						<SegmentedControl
							aria-labelledby="primary"
							fullWidth
							data={backends.map((b) => b.name)}
							value={change.primary}
							onChange={(primary) => set({ ...change, primary })}
						/>
					</div>
				)}
				{act.isError && <Note tone="bad">{act.error.message}</Note>}
				<Group justify="flex-end">
					<Button variant="default" onClick={() => set(undefined)} data-autofocus>
						Leave it
					</Button>
					<Button
						color={change.mode === "disabled" ? "red.8" : undefined}
						loading={act.isPending}
						onClick={() => act.mutate()}
					>
						{change.mode === "disabled" ? "Disable" : "Make active"}
					</Button>
				</Group>
			</Stack>
		</Modal>
	);
}

function Queue({ doc }: { doc: Doc }) {
	const { healer, lagging } = doc;
	const facts: [string, string, string][] = [
		["To copy", count(lagging.keys), lagging.keys > 0 ? bytes(lagging.bytes) : "nothing lags"],
		["Oldest lag", lagging.keys > 0 ? span(lagging.oldest_seconds) : "–", "since the write"],
		["Queued", count(healer.queued), "keys that need work"],
		["Waiting", count(healer.waiting), "for a backend or a mode"],
		["At work", count(healer.running), "at this moment"],
	];
	return (
		<>
			<dl className="numbers" aria-live="polite">
				{facts.map(([name, value, note]) => (
					<div key={name}>
						<dt>{name}</dt>
						<dd>
							<span className="number">{value}</span>
							<span className="number-note">{note}</span>
						</dd>
					</div>
				))}
			</dl>
			{healer.last_error && healer.queued > 0 && (
				<Note
					tone="warn"
					title={`The last heal that achieved nothing${healer.last_failure ? `, ${moment(healer.last_failure)}` : ""}:`}
				>
					{healer.last_error}
				</Note>
			)}
		</>
	);
}

const columns = [
	{ name: "Backend" },
	{ name: "State" },
	{ name: "To copy", num: true },
	{ name: "Heals may take" },
	{ name: "Actions", hidden: true },
];

function Backends({ doc, backends }: { doc: Doc; backends: BackendStatus[] }) {
	const [pausing, setPausing] = useState<string>();
	const [pacing, setPacing] = useState<Pace>();
	const refresh = useRefresh();
	const resume = useMutation({
		mutationFn: (name: string) => resumeBackend({ path: { name } }),
		onSuccess: refresh,
	});
	return (
		<Panel title="Backends" note="Clients always come before heals, whatever the pace" flush>
			{resume.isError && <Note tone="bad">{resume.error.message}</Note>}
			<Rows label="Backends" columns={columns}>
				{backends.map((b) => {
					const pause = doc.paused.find((p) => p.backend === b.name);
					const pace = doc.paces.find((p) => p.backend === b.name);
					return (
						<Table.Tr key={b.name}>
							<Cell label="Backend" head>
								<strong>{b.name}</strong>
							</Cell>
							<Cell label="State">
								<Standing state={b.state} pause={pause} />
							</Cell>
							<Cell label="To copy" num>
								{b.lagging_keys === 0 ? "–" : `${count(b.lagging_keys)} · ${bytes(b.lagging_bytes)}`}
							</Cell>
							<Cell label="Heals may take">{pace ? paceOf(pace) : "–"}</Cell>
							<Cell label="" num>
								<Group gap={6} justify="flex-end" wrap="nowrap">
									{pace && (
										<Button
											size="compact-sm"
											variant="default"
											aria-label={`Pace of ${b.name}`}
											onClick={() => setPacing(pace)}
										>
											Pace
										</Button>
									)}
									{pause ? (
										<Button
											size="compact-sm"
											loading={resume.isPending}
											aria-label={`Resume ${b.name}`}
											onClick={() => resume.mutate(b.name)}
										>
											Resume
										</Button>
									) : (
										<Button
											size="compact-sm"
											variant="default"
											aria-label={`Pause ${b.name}`}
											onClick={() => setPausing(b.name)}
										>
											Pause
										</Button>
									)}
								</Group>
							</Cell>
						</Table.Tr>
					);
				})}
			</Rows>
			{pausing && <PauseIt name={pausing} close={() => setPausing(undefined)} />}
			{pacing && <PaceIt pace={pacing} close={() => setPacing(undefined)} />}
		</Panel>
	);
}

function Standing({ state, pause }: { state: BackendStatus["state"]; pause?: Pause }) {
	return (
		<span className="standing">
			<Live tone={stateTone[state]}>{state}</Live>
			{pause && <Tag tone="idle">{pause.until ? `until ${moment(pause.until)}` : "until it is resumed"}</Tag>}
		</span>
	);
}

const lengths = [
	{ value: "0", label: "Until resumed" },
	{ value: "15", label: "15 min" },
	{ value: "60", label: "1 hour" },
	{ value: "480", label: "8 hours" },
];

function PauseIt({ name, close }: { name: string; close: () => void }) {
	const [minutes, setMinutes] = useState("60");
	const refresh = useRefresh();
	const act = useMutation({
		mutationFn: () =>
			pauseBackend({
				path: { name },
				body: minutes === "0" ? {} : { until: new Date(Date.now() + Number(minutes) * 60_000).toISOString() },
			}),
		onSuccess: async () => {
			await refresh();
			close();
		},
	});
	return (
		<Modal opened onClose={close} title={`Pause ${name}?`} centered closeButtonProps={{ "aria-label": "Close" }}>
			<Stack>
				<Text size="sm">
					Nothing is asked of it, on every node and over restarts. What is under way ends; what it misses is logged, and
					copied once it is resumed.
				</Text>
				<div>
					<Text size="sm" fw={500} mb={6} id="pause-length">
						For
					</Text>
					<SegmentedControl
						fullWidth
						aria-labelledby="pause-length"
						data={lengths}
						value={minutes}
						onChange={setMinutes}
					/>
				</div>
				{act.isError && <Note tone="bad">{act.error.message}</Note>}
				<Group justify="flex-end">
					<Button variant="default" onClick={close} data-autofocus>
						Leave it
					</Button>
					<Button loading={act.isPending} onClick={() => act.mutate()}>
						Pause {name}
					</Button>
				</Group>
			</Stack>
		</Modal>
	);
}

const mebi = 1 << 20;

function PaceIt({ pace, close }: { pace: Pace; close: () => void }) {
	const [speed, setSpeed] = useState(pace.bytes_per_second / mebi);
	const [requests, setRequests] = useState(pace.requests_per_second);
	const refresh = useRefresh();
	const done = {
		onSuccess: async () => {
			await refresh();
			close();
		},
	};
	const act = useMutation({
		mutationFn: () =>
			setPace({
				body: {
					backend: pace.backend,
					bytes_per_second: Math.round(speed * mebi),
					requests_per_second: requests,
				},
			}),
		...done,
	});
	const reset = useMutation({ mutationFn: () => resetPace({ query: { backend: pace.backend } }), ...done });
	const submit = (e: FormEvent) => {
		e.preventDefault();
		act.mutate();
	};
	const error = act.error ?? reset.error;
	return (
		<Modal
			opened
			onClose={close}
			title={`Pace of heals on ${pace.backend}`}
			centered
			closeButtonProps={{ "aria-label": "Close" }}
		>
			<form onSubmit={submit}>
				<Stack>
					<NumberInput
						label="MiB a second"
						description="To and from the backend together. 0: no limit"
						min={0}
						decimalScale={2}
						value={speed}
						onChange={(v) => setSpeed(Number(v) || 0)}
						data-autofocus
					/>
					<NumberInput
						label="Requests a second"
						description="0: no limit"
						min={0}
						decimalScale={2}
						value={requests}
						onChange={(v) => setRequests(Number(v) || 0)}
					/>
					{error && <Note tone="bad">{error.message}</Note>}
					<Group justify="space-between">
						<Button variant="subtle" color="gray" loading={reset.isPending} onClick={() => reset.mutate()}>
							As configured
						</Button>
						<Button type="submit" loading={act.isPending}>
							Set
						</Button>
					</Group>
				</Stack>
			</form>
		</Modal>
	);
}
