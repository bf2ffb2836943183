import { Autocomplete, Button, Group, Modal, SegmentedControl, Stack, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { listBuckets, setMode } from "../api/gen/sdk.gen";
import type { BackendStatus, Replication as Doc, Mode } from "../api/gen/types.gen";
import { useRefresh, useReplication, useStatus } from "../api/queries";
import { Numbers } from "../parts/numbers";
import { Page, Panel } from "../parts/page";
import { Note, Oops, Waiting } from "../parts/states";
import { bytes, count, moment, span } from "../words/format";
import { promise } from "../words/replication";
import { Backends } from "./backends";
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
