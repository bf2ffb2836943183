import { Autocomplete, Button, Group, Modal, Progress, SegmentedControl, Slider, Stack, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { listBuckets, pauseBackend, resetPace, resumeBackend, setMode, setPace } from "../api/gen/sdk.gen";
import type { BackendStatus, Replication as Doc, Mode, Pace, Pause } from "../api/gen/types.gen";
import { useCourses, useRefresh, useReplication, useStatus } from "../api/queries";
import { Live, Tag } from "../parts/badge";
import { Numbers } from "../parts/numbers";
import { Page, Panel } from "../parts/page";
import { Note, Oops, Waiting } from "../parts/states";
import { bytes, count, many, moment, span } from "../words/format";
import { type Course, done, progress } from "../words/healing";
import { byteStops, paceMeans, promise, requestStops, stopOf } from "../words/replication";
import { stateTone } from "../words/safety";
import { Jobs } from "./jobs";

/** How objects are replicated, and how that is changed while it runs. */
export function Replication() {
	const doc = useReplication();
	const node = useStatus();
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
					<Queue doc={doc.data} />
					<Jobs backends={node.data.backends.map((b) => b.name)} />
					<Backends doc={doc.data} backends={node.data.backends} />
					<Modes doc={doc.data} backends={node.data.backends} />
				</>
			) : error ? (
				<Oops error={error} />
			) : (
				<>
					<Waiting rows={1} height={90} />
					<Waiting rows={1} height={220} />
					<Waiting rows={1} height={150} />
				</>
			)}
		</Page>
	);
}

type Change = { mode: Mode; primary?: string; bucket?: string };

type Now = { mode: Mode; primary?: string };

function Modes({ doc, backends }: { doc: Doc; backends: BackendStatus[] }) {
	const [wanted, setWanted] = useState<Change>();
	const [picked, setPicked] = useState<string[]>([]);
	const ask = (mode: Mode, now: Now, bucket?: string) =>
		mode !== now.mode &&
		setWanted({ mode, bucket, primary: mode === "disabled" ? (now.primary ?? backends[0]?.name) : undefined });
	const own = new Map(doc.buckets.map((b) => [b.bucket, b]));
	const rows = [...new Set([...own.keys(), ...picked])].sort();
	return (
		<Panel title="Mode" note="What becomes of the next write">
			<div className="mode">
				<strong>All buckets</strong>
				<Switch label="All buckets" mode={doc.mode} choose={(m) => ask(m, doc)} />
				<p>{promise(doc.mode, doc.primary)}</p>
			</div>
			{rows.map((bucket) => {
				const now: Now = own.get(bucket) ?? doc;
				return (
					<div className="mode" key={bucket}>
						<strong>{bucket}</strong>
						<Switch label={`Bucket ${bucket}`} mode={now.mode} choose={(m) => ask(m, now, bucket)} />
						<p>{own.has(bucket) ? promise(now.mode, now.primary) : "As all buckets."}</p>
					</div>
				);
			})}
			<PickBucket shown={rows} pick={(bucket) => setPicked([...picked, bucket])} />
			{wanted && <Ask change={wanted} set={setWanted} backends={backends} />}
		</Panel>
	);
}

/** Finds a bucket that is to have a mode of its own. */
function PickBucket({ shown, pick }: { shown: string[]; pick: (bucket: string) => void }) {
	const [name, setName] = useState("");
	const buckets = useQuery({
		queryKey: ["buckets", "names"],
		queryFn: async () => (await listBuckets({ query: { limit: 1000 } })).data.buckets.map((b) => b.name),
	});
	const left = (buckets.data ?? []).filter((b) => !shown.includes(b));
	if (left.length === 0) {
		return null;
	}
	const choose = (value: string) => {
		if (left.includes(value)) {
			pick(value);
			setName("");
		} else {
			setName(value);
		}
	};
	return (
		<Autocomplete
			className="pick"
			label="A bucket with a mode of its own"
			placeholder="Its name"
			data={left}
			limit={20}
			value={name}
			onChange={choose}
		/>
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
	return (
		<>
			<Numbers
				facts={[
					["To copy", count(lagging.keys), lagging.keys > 0 ? bytes(lagging.bytes) : "nothing lags"],
					["Oldest lag", lagging.keys > 0 ? span(lagging.oldest_seconds) : "–", "since the write"],
					["Queued", count(healer.queued), "keys that need work"],
					["Waiting", count(healer.waiting), "for a backend or a mode"],
					["At work", count(healer.running), "at this moment"],
				]}
			/>
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

function Backends({ doc, backends }: { doc: Doc; backends: BackendStatus[] }) {
	const courses = useCourses();
	return (
		<Panel title="Backends" note="What heals may take of each. Clients always come first" flush>
			<ul className="paced">
				{backends.map((b) => (
					<Backend
						key={b.name}
						backend={b}
						pause={doc.paused.find((p) => p.backend === b.name)}
						pace={doc.paces.find((p) => p.backend === b.name)}
						course={courses.get(b.name)}
					/>
				))}
			</ul>
		</Panel>
	);
}

function Backend({
	backend: b,
	pause,
	pace,
	course,
}: {
	backend: BackendStatus;
	pause?: Pause;
	pace?: Pace;
	course?: Course;
}) {
	const [pausing, setPausing] = useState(false);
	const refresh = useRefresh();
	const resume = useMutation({ mutationFn: () => resumeBackend({ path: { name: b.name } }), onSuccess: refresh });
	return (
		<li aria-label={b.name}>
			<div className="paced-head">
				<strong>{b.name}</strong>
				<Standing state={b.state} pause={pause} />
				{pause ? (
					<Button
						size="compact-sm"
						loading={resume.isPending}
						aria-label={`Resume ${b.name}`}
						onClick={() => resume.mutate()}
					>
						Resume
					</Button>
				) : (
					<Button size="compact-sm" variant="default" aria-label={`Pause ${b.name}`} onClick={() => setPausing(true)}>
						Pause
					</Button>
				)}
			</div>
			{resume.isError && <Note tone="bad">{resume.error.message}</Note>}
			{course && (
				<div className="paced-course">
					<Progress value={done(course) * 100} aria-label={`What ${b.name} lacked and has`} />
					<p>
						{pause
							? `${many(b.lagging_keys, "object")} (${bytes(b.lagging_bytes)}) to copy once it is resumed.`
							: b.state === "down"
								? `${many(b.lagging_keys, "object")} (${bytes(b.lagging_bytes)}) to copy once it is back.`
								: `${progress(course)}.`}
					</p>
				</div>
			)}
			{pace && <PaceIt pace={pace} lacks={{ keys: b.lagging_keys, bytes: b.lagging_bytes }} />}
			{pausing && <PauseIt name={b.name} close={() => setPausing(false)} />}
		</li>
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

/** Two sliders, which act when they are let go, and a sentence that says what that means. */
function PaceIt({ pace, lacks }: { pace: Pace; lacks: { keys: number; bytes: number } }) {
	const [moved, setMoved] = useState<Partial<Pace>>({}); // what the server has not been heard to have taken
	const draft = { ...pace, ...moved };
	const move = (part: Partial<Pace>) => setMoved((m) => ({ ...m, ...part }));
	const refresh = useRefresh();
	const scope = { id: `pace ${pace.backend}` }; // one after the other: of two at once the earlier might be taken last
	const act = useMutation({
		scope,
		mutationFn: (p: Pace) => setPace({ body: { ...p, backend: pace.backend } }),
		onSuccess: async (_, sent) => {
			await refresh();
			// What was moved since stays as it is.
			setMoved((m) => Object.fromEntries(Object.entries(m).filter(([part, v]) => sent[part as keyof Pace] !== v)));
		},
	});
	const reset = useMutation({
		scope,
		mutationFn: () => resetPace({ query: { backend: pace.backend } }),
		onSuccess: async () => {
			await refresh();
			setMoved({});
		},
	});
	const error = act.error ?? reset.error;
	return (
		<div className="pace">
			<Stops
				label={`Most bytes a second to and from ${pace.backend}`}
				title="Bytes a second"
				stops={byteStops}
				limit={draft.bytes_per_second}
				show={(v) => (v === 0 ? "no limit" : `${bytes(v)}/s`)}
				move={(v) => move({ bytes_per_second: v })}
				done={(v) => act.mutate({ ...draft, bytes_per_second: v })}
			/>
			<Stops
				label={`Most requests a second to ${pace.backend}`}
				title="Requests a second"
				stops={requestStops}
				limit={draft.requests_per_second}
				show={(v) => (v === 0 ? "no limit" : count(v))}
				move={(v) => move({ requests_per_second: v })}
				done={(v) => act.mutate({ ...draft, requests_per_second: v })}
			/>
			<div className="pace-means">
				<p aria-live="polite">{paceMeans(draft, lacks)}</p>
				<Button
					size="compact-sm"
					variant="default"
					loading={reset.isPending}
					aria-label={`Pace of ${pace.backend} as configured`}
					onClick={() => reset.mutate()}
				>
					As configured
				</Button>
			</div>
			{error && <Note tone="bad">{error.message}</Note>}
		</div>
	);
}

function Stops({
	label,
	title,
	stops,
	limit,
	show,
	move,
	done,
}: {
	label: string;
	title: string;
	stops: number[];
	limit: number;
	show: (v: number) => string;
	move: (v: number) => void;
	done: (v: number) => void;
}) {
	const at = (i: number) => stops[i] ?? 0;
	return (
		<div>
			<div className="pace-title">
				<span>{title}</span>
				<strong>{show(limit)}</strong>
			</div>
			<Slider
				thumbLabel={label}
				label={null}
				min={0}
				max={stops.length - 1}
				value={stopOf(stops, limit)}
				onChange={(i) => move(at(i))}
				onChangeEnd={(i) => done(at(i))}
				thumbProps={{ "aria-valuetext": show(limit) }}
			/>
		</div>
	);
}
