import {
	Autocomplete,
	Button,
	Group,
	Modal,
	NativeSelect,
	SegmentedControl,
	Stack,
	Switch,
	Text,
	TextInput,
} from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { listBuckets, startJob } from "../api/gen/sdk.gen";
import type { JobKind } from "../api/gen/types.gen";
import { Note } from "../parts/states";
import { type Draft, intention, isGrave, kindNames, lacks, noDraft, takes, wanted } from "../words/jobs";

const kinds: JobKind[] = ["scrub", "heal", "resync", "adopt", "drain"];

const losses = [
	{ value: "0", label: "more than 10 % of the keys" },
	{ value: "1", label: "more than 1 % of the keys" },
	{ value: "50", label: "more than half of the keys" },
	{ value: "100", label: "nothing: it goes on whatever it finds" },
];

/** Asks for long work; it says what that will do before it does. */
export function NewJob({
	backends,
	close,
	begun,
}: {
	backends: string[];
	close: () => void;
	begun: (id: string) => void;
}) {
	const [draft, setDraft] = useState<Draft>(noDraft);
	const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
	const queries = useQueryClient();
	const act = useMutation({
		mutationFn: async () => (await startJob({ body: wanted(draft) })).data,
		onSuccess: async (job) => {
			begun(job.id);
			await queries.invalidateQueries({ queryKey: ["jobs"] });
		},
	});
	const may = takes[draft.kind];
	const lack = lacks(draft);
	const name = kindNames[draft.kind].toLowerCase();
	return (
		<Modal opened onClose={close} title="New job" centered size="lg" closeButtonProps={{ "aria-label": "Close" }}>
			<form
				onSubmit={(e) => {
					e.preventDefault();
					if (!lack) {
						act.mutate();
					}
				}}
			>
				<Stack>
					<SegmentedControl
						aria-label="Kind"
						fullWidth
						value={draft.kind}
						onChange={(kind) => {
							act.reset();
							set({ kind: kind as JobKind });
						}}
						data={kinds.map((k) => ({ value: k, label: kindNames[k] }))}
					/>
					{may.bucket && <Bucket draft={draft} set={set} />}
					{may.backend !== "no" && (
						<NativeSelect
							label="Backend"
							value={draft.backend}
							onChange={(e) => set({ backend: e.currentTarget.value })}
							data={[{ value: "", label: may.backend === "must" ? "Choose one" : "All" }, ...backends]}
						/>
					)}
					{draft.kind === "adopt" && (
						<NativeSelect
							label="Source"
							description="Where two backends differ, its objects stand"
							value={draft.source}
							onChange={(e) => set({ source: e.currentTarget.value })}
							data={[{ value: "", label: "The first that has objects" }, ...backends]}
						/>
					)}
					{draft.kind === "scrub" && (
						<Switch
							label="Deep"
							description="Read and compare every byte, on every backend"
							checked={draft.deep}
							onChange={(e) => set({ deep: e.currentTarget.checked })}
						/>
					)}
					{may.loss && (
						<NativeSelect
							label={draft.kind === "scrub" ? "Stop if one backend lacks" : "Stop before this would delete"}
							value={String(draft.loss)}
							onChange={(e) => set({ loss: Number(e.currentTarget.value) })}
							data={losses}
						/>
					)}
					{isGrave(draft.kind) ? (
						<Note tone="warn">{intention(draft)}</Note>
					) : (
						<Text size="sm">{intention(draft)}</Text>
					)}
					{act.isError && <Note tone="bad">{act.error.message}</Note>}
					<Group justify="flex-end">
						<Button variant="default" onClick={close}>
							Cancel
						</Button>
						<Button
							type="submit"
							color={isGrave(draft.kind) ? "red.8" : undefined}
							loading={act.isPending}
							disabled={lack !== undefined}
							title={lack}
						>
							Start the {name}
						</Button>
					</Group>
				</Stack>
			</form>
		</Modal>
	);
}

/** One bucket, or all; one that is to be adopted is none that we know. */
function Bucket({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
	const buckets = useQuery({
		queryKey: ["buckets", "names"],
		queryFn: async () => (await listBuckets({ query: { limit: 1000 } })).data.buckets.map((b) => b.name),
	});
	if (draft.kind === "adopt") {
		return (
			<TextInput
				label="Bucket"
				placeholder="Its name on the backends"
				value={draft.bucket}
				onChange={(e) => set({ bucket: e.currentTarget.value })}
			/>
		);
	}
	return (
		<Autocomplete
			label="Bucket"
			placeholder="All"
			data={buckets.data ?? []}
			limit={20}
			value={draft.bucket}
			onChange={(bucket) => set({ bucket })}
		/>
	);
}
