import { Button, Group, Modal, Progress, SegmentedControl, Slider, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { pauseBackend, resetPace, resumeBackend, setPace } from "../api/gen/sdk.gen";
import type { BackendStatus, Replication as Doc, Pace, Pause } from "../api/gen/types.gen";
import { useCourses, useRefresh } from "../api/queries";
import { Live, Tag } from "../parts/badge";
import { Icon } from "../parts/icons";
import { Panel } from "../parts/page";
import { Note } from "../parts/states";
import { bytes, count, many, moment } from "../words/format";
import { type Course, done, progress } from "../words/healing";
import { byteStops, paceMeans, requestStops, stopOf } from "../words/replication";
import { stateTone } from "../words/safety";
import { OneBackend } from "./backend";
import { AddBackend } from "./backend-form";

const route = getRouteApi("/replication");

/** Every backend: how it stands, what heals may take of it, and new ones. The one that is looked at is in the address. */
export function Backends({ doc, backends }: { doc: Doc; backends: BackendStatus[] }) {
	const courses = useCourses();
	const [adding, setAdding] = useState(false);
	const { backend: open } = route.useSearch();
	const navigate = route.useNavigate();
	const look = (backend?: string) => void navigate({ search: { backend }, resetScroll: false });
	return (
		<Panel
			title="Backends"
			note="What heals may take of each. Clients always come first"
			flush
			actions={
				<Button leftSection={<Icon name="plus" size={16} />} variant="default" onClick={() => setAdding(true)}>
					Add a backend
				</Button>
			}
		>
			<ul className="paced">
				{backends.map((b) => (
					<Backend
						key={b.name}
						backend={b}
						pause={doc.paused.find((p) => p.backend === b.name)}
						pace={doc.paces.find((p) => p.backend === b.name)}
						course={courses.get(b.name)}
						open={() => look(b.name)}
					/>
				))}
			</ul>
			{adding && (
				<AddBackend
					close={() => setAdding(false)}
					added={(name) => {
						setAdding(false);
						look(name);
					}}
				/>
			)}
			{open && <OneBackend name={open} close={() => look()} />}
		</Panel>
	);
}

function Backend({
	backend: b,
	pause,
	pace,
	course,
	open,
}: {
	backend: BackendStatus;
	pause?: Pause;
	pace?: Pace;
	course?: Course;
	open: () => void;
}) {
	const [pausing, setPausing] = useState(false);
	const refresh = useRefresh();
	const resume = useMutation({ mutationFn: () => resumeBackend({ path: { name: b.name } }), onSuccess: refresh });
	return (
		<li aria-label={b.name}>
			<div className="paced-head">
				<button type="button" className="row-button" onClick={open}>
					{b.name}
				</button>
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
